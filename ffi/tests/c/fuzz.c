/* Calls functions at random, from several threads that use the same handles against the rules, with
 * arguments that are good, bad and old: fuzz DIRECTORY SEED CALLS THREADS. Nothing may crash, hang or
 * leak. Prints what each function has given, and how often: "eph_publish -9 17". */
#include "check.h"
#include <pthread.h>

enum { SLOTS = 3, LENT = 3, THREADS_MAX = 8, BYTES = 70000, DEPTH_MAX = 2 };
enum kind { SUPERVISOR, HUB, CLOSER, LINK, PUBLISHER, SUBSCRIPTION, KINDS };

/* Handles that all threads use. The first hubs are never freed. */
static void *handles[KINDS][SLOTS];
static eph_hub_t *first_hubs[2];
static char directories[2][520];

/* What each thread has of its own. */
struct worker {
    pthread_t thread;
    uint64_t state;
    long calls;
    int depth;
    eph_event_t events[LENT];
    eph_loan_t loans[LENT];
    eph_event_t forged_event;
    eph_loan_t forged_loan;
    char results[BYTES];
};

static struct worker workers[THREADS_MAX];
static pthread_key_t current;
static char bytes[BYTES];

static struct worker *me(void) { return (struct worker *)pthread_getspecific(current); }

static uint64_t next_random(void) {
    uint64_t state = me()->state;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    me()->state = state;
    return state * UINT64_C(0x2545F4914F6CDD1D);
}

static size_t below(size_t bound) { return (size_t)(next_random() >> 16) % bound; }

static void *kept(enum kind kind) {
    return __atomic_load_n(&handles[kind][below(SLOTS)], __ATOMIC_ACQUIRE);
}

/* A handle of this kind, mostly. */
static void *any(enum kind kind) {
    void *handle = kept(kind);
    switch (below(32)) {
    case 0:
        return NULL;
    case 1:
        return (void *)(uintptr_t)next_random();
    case 2:
        return (void *)((uintptr_t)handle ^ (UINT64_C(1) << below(64)));
    case 3:
        return &workers;
    case 4:
        return kept((enum kind)below(KINDS));
    default:
        return kind == HUB && below(8) ? first_hubs[below(2)] : handle;
    }
}

static eph_hub_t *any_hub(void) { return (eph_hub_t *)any(HUB); }

static int free_it(enum kind kind, void *handle) {
    switch (kind) {
    case SUPERVISOR:
        return eph_supervisor_free((eph_supervisor_t *)handle);
    case HUB:
        return eph_hub_free((eph_hub_t *)handle);
    case CLOSER:
        return eph_closer_free((eph_closer_t *)handle);
    case LINK:
        return eph_link_free((eph_link_t *)handle);
    case PUBLISHER:
        return eph_publisher_free((eph_publisher_t *)handle);
    default:
        return eph_subscription_free((eph_subscription_t *)handle);
    }
}

/* Frees one, seldom in truth: there is to be something to call. What was freed is used on. */
static int free_any(enum kind kind) {
    void *handle = any(kind);
    return below(4) && handle != NULL ? free_it((enum kind)((kind + 1) % KINDS), handle)
                                      : free_it(kind, handle);
}

/* Keeps a new handle, and frees one that was there before. If somebody uses that, it is forgotten. */
static int keep(enum kind kind, void *handle, int code) {
    CHECK((code == 0) == (handle != NULL));
    if (handle != NULL) {
        void **place = &handles[kind][below(SLOTS)];
        free_it(kind, __atomic_exchange_n(place, handle, __ATOMIC_ACQ_REL));
    }
    return code;
}

/* Events and loans that go from thread to thread. */
static pthread_mutex_t exchange = PTHREAD_MUTEX_INITIALIZER;
static eph_event_t passed_event;
static eph_loan_t passed_loan;

/* A place for an event; what was there is given back, now or by another thread. */
static eph_event_t *new_event(void) {
    eph_event_t *event = &me()->events[below(LENT)];
    if (below(8) == 0) {
        eph_event_t mine = *event;
        pthread_mutex_lock(&exchange);
        *event = passed_event;
        passed_event = mine;
        pthread_mutex_unlock(&exchange);
    }
    eph_event_release(event);
    return event;
}

static eph_loan_t *new_loan(void) {
    eph_loan_t *loan = &me()->loans[below(LENT)];
    if (below(8) == 0) {
        eph_loan_t mine = *loan;
        pthread_mutex_lock(&exchange);
        *loan = passed_loan;
        passed_loan = mine;
        pthread_mutex_unlock(&exchange);
    }
    eph_loan_discard(loan);
    return loan;
}

/* An event, which may be cleared, or given back already, or none. */
static eph_event_t *any_event(void) {
    struct worker *self = me();
    eph_event_t *event = &self->events[below(LENT)];
    switch (below(32)) {
    case 0:
        return NULL;
    case 1:
        self->forged_event = *event;
        self->forged_event.handle ^= UINT64_C(1) << below(64);
        return &self->forged_event;
    case 2: /* as it was long ago */
        return &self->forged_event;
    default:
        return event;
    }
}

static eph_loan_t *any_loan(void) {
    struct worker *self = me();
    eph_loan_t *loan = &self->loans[below(LENT)];
    switch (below(32)) {
    case 0:
        return NULL;
    case 1:
        self->forged_loan = *loan;
        self->forged_loan.handle ^= UINT64_C(1) << below(64);
        return &self->forged_loan;
    case 2:
        return &self->forged_loan;
    default:
        return loan;
    }
}

struct text {
    const char *at;
    size_t len;
};

static struct text any_of(const char *const *texts, size_t count) {
    static const char *const WRONG[] = {"..", "\xc3\x28", "no one", "", "a", "fuzz.*", "fuzz.one"};
    struct text text;
    text.at = below(8) ? texts[below(count)] : WRONG[below(sizeof WRONG / sizeof *WRONG)];
    text.len = strlen(text.at);
    if (below(64) == 0) {
        text.at = NULL;
    } else if (below(64) == 0) {
        text.len = SIZE_MAX - below(3); /* more than there can be */
    }
    return text;
}

static struct text any_name(void) {
    static const char *const NAMES[] = {"a", "b", "c", "d"};
    return any_of(NAMES, 4);
}

static struct text any_subject(void) {
    static const char *const SUBJECTS[] = {"fuzz.one", "fuzz.two"};
    return any_of(SUBJECTS, 2);
}

static struct text any_pattern(void) {
    static const char *const PATTERNS[] = {"fuzz.one", "fuzz.>", "*.two", "fuzz.one fuzz.two"};
    return any_of(PATTERNS, 4);
}

static int64_t any_timeout(void) {
    static const int64_t TIMEOUTS[] = {0, 0, 1, 1000, 100000, 0, -2, INT64_MIN};
    return TIMEOUTS[below(below(8) ? 5 : 8)];
}

/* Of a payload; longer than what there is only if no ring could have it. */
static size_t any_len(void) {
    static const size_t LENGTHS[] = {0,     1,     8,       32,              100,      4000,
                                     70000, 32736, 1 << 30, (size_t)1 << 40, SIZE_MAX, SIZE_MAX / 2};
    return LENGTHS[below(below(8) ? 6 : 12)];
}

static uint64_t any_size(void) {
    static const uint64_t SIZES[] = {0, 0, 0, 4096, 65536, 1 << 20, 12345, 1, UINT64_MAX, 1 << 12};
    return SIZES[below(10)];
}

/* Of an option: the default, mostly. */
static int any_choice(void) { return below(8) ? (int)below(3) : (int)below(8) - 2; }

static size_t any_struct_size(size_t real) {
    static const size_t SIZES[] = {0, 1, 8, 9, 4096, 4097, SIZE_MAX};
    return below(16) ? real : SIZES[below(7)];
}

/* Options in a place that is as long as they can say. */
union options {
    eph_hub_options_t hub;
    eph_link_options_t link;
    eph_subscription_options_t subscription;
    eph_extension_t extension;
    eph_event_details_t details;
    eph_link_state_t state;
    char room[4096];
};

static eph_sent_t sent_by[THREADS_MAX];

static eph_sent_t *any_sent(void) { return below(2) ? NULL : &sent_by[me() - workers]; }

static void write_bytes(void *user, void *data, size_t len) {
    memset(data, 7, len);
    (void)user;
}

static void call_one(void);

/* Replies, if it is a request. */
static void answer(const eph_event_t *event) { eph_reply(any_hub(), event, 1, "yes", 3, NULL); }

/* What a function for events has is there while it is called. */
static void on_event(void *user, eph_event_t *event) {
    CHECK(*(int *)user == 11);
    answer(event);
    if (below(2)) {
        eph_event_release(event);
    }
    if (me()->depth < DEPTH_MAX) {
        call_one();
    }
    CHECK(*(int *)user == 11);
}

static void on_drop(void *user) {
    CHECK(*(int *)user == 11);
    *(int *)user = 12;
    free(user);
}

#include "fuzz_calls.h"

enum { CODES = 40 };

/* How often each function has given each number. */
static long given[COUNT][CODES];

/* One of all functions, or of those without which there is nothing to be had. */
static size_t any_call(void) {
    static int (*const OFTEN[])(void) = {call_eph_publish,  call_eph_subscription_take,
                                         call_eph_link_send, call_eph_hub_take,
                                         call_eph_subscription_dispatch};
    size_t which = below(COUNT), often = below(sizeof OFTEN / sizeof *OFTEN);
    if (below(3) == 0) {
        for (which = 0; CALLS[which].call != OFTEN[often]; which++) {
        }
    }
    return which;
}

static void call_one(void) {
    size_t which = any_call();
    int code;

    me()->depth++;
    code = CALLS[which].call();
    me()->depth--;
    CHECK(code <= 0 && code >= EPH_EHUBGONE);
    /* No hub here runs wild, and the library least of all. */
    CHECK(code != EPH_EINTERNAL && code != EPH_ECORRUPT && code != EPH_EPROTOCOL);
    CHECK(code == 0 || strlen(eph_strerror(code)) > 5);
    __atomic_fetch_add(&given[which][-code], 1, __ATOMIC_RELAXED);
}

static void *work(void *worker) {
    long i;
    CHECK(pthread_setspecific(current, worker) == 0);
    for (i = 0; i < me()->calls; i++) {
        call_one();
    }
    for (i = 0; i < LENT; i++) {
        eph_event_release(&me()->events[i]);
        eph_loan_discard(&me()->loans[i]);
    }
    return NULL;
}

static eph_hub_t *open_first(const char *name) {
    eph_hub_options_t options;
    eph_hub_t *hub;
    eph_hub_options_init(&options);
    options.directory = directories[0];
    options.directory_len = strlen(directories[0]);
    options.patience_ns = SECOND / 1000;
    OK(eph_hub_open_z(name, &options, &hub));
    return hub;
}

int main(int argc, char **argv) {
    eph_supervisor_t *supervisor;
    uint64_t seed;
    long calls;
    int threads, i, code;
    size_t which;

    CHECK(argc == 5);
    seed = strtoull(argv[2], NULL, 10);
    calls = atol(argv[3]);
    threads = atoi(argv[4]);
    CHECK(threads >= 1 && threads <= THREADS_MAX && pthread_key_create(&current, NULL) == 0);
    for (i = 0; i < 2; i++) {
        snprintf(directories[i], sizeof *directories, "%.500s-%d", argv[1], i);
    }
    OK(eph_supervisor_start_z(directories[0], &supervisor));
    first_hubs[0] = open_first("a");
    first_hubs[1] = open_first("b");
    for (i = 0; i < threads; i++) {
        workers[i].state = (seed * THREADS_MAX + (uint64_t)i) * 2 + 1;
        workers[i].calls = calls / threads;
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (i = 0; i < threads; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    }
    eph_event_release(&passed_event);
    eph_loan_discard(&passed_loan);
    for (i = KINDS - 1; i >= 0; i--) {
        for (which = 0; which < SLOTS; which++) {
            free_it((enum kind)i, handles[i][which]);
        }
    }
    for (i = 0; i < 2; i++) {
        code = eph_hub_free(first_hubs[i]);
        CHECK(code == 0 || code == EPH_EBUSY); /* an event that was forgotten, which is allowed */
    }
    OK(eph_supervisor_free(supervisor));
    for (which = 0; which < COUNT; which++) {
        for (i = 0; i < CODES; i++) {
            if (given[which][i] > 0) {
                printf("%s %d %ld\n", CALLS[which].name, -i, given[which][i]);
            }
        }
    }
    return 0;
}
