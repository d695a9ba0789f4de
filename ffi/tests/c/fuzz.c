/* Calls functions at random, with handles that are good, bad and old: fuzz DIRECTORY SEED CALLS.
 * Nothing may crash, hang or leak; what a call gives must be a number of the ledger. */
#include "check.h"

enum { SLOTS = 12 };

static uint64_t state;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545F4914F6CDD1D);
}

static size_t below(size_t bound) { return (size_t)(next_random() >> 16) % bound; }

/* Handles of all kinds, some of which are not what they are taken for. */
static void *handles[SLOTS];
static eph_event_t events[SLOTS];
static eph_loan_t loans[SLOTS];

static void *any_handle(void) {
    switch (below(24)) {
    case 0:
        return NULL;
    case 1:
        return (void *)(uintptr_t)next_random();
    case 2:
        return (void *)((uintptr_t)handles[below(SLOTS)] ^ (UINT64_C(1) << below(64)));
    case 3:
        return &state;
    default:
        return handles[below(SLOTS)];
    }
}

static const char *const TEXTS[] = {"a", "b", "fuzz.one", "fuzz.two", "fuzz.>", "*.two", "",
                                    "..", "\xc3\x28", "no one", "fuzz.one fuzz.two"};

static const char *any_text(size_t *len) {
    const char *text = TEXTS[below(sizeof TEXTS / sizeof *TEXTS)];
    *len = strlen(text);
    return text;
}

static int64_t any_timeout(void) {
    static const int64_t TIMEOUTS[] = {0, 0, 0, 1, 1000, 100000, -2, INT64_MIN};
    return TIMEOUTS[below(8)];
}

static size_t any_len(void) {
    static const size_t LENGTHS[] = {0, 1, 32, 100, 4000, 70000};
    return LENGTHS[below(6)];
}

static char bytes[70000], results[70000];

static void on_event(void *user, eph_event_t *event) {
    if (below(2)) {
        eph_event_release(event);
    }
    (void)user;
}

static void write_bytes(void *user, void *data, size_t len) {
    memset(data, 7, len);
    (void)user;
}

static int a_call_about_hubs(eph_hub_t *hub, void **place) {
    size_t len, count;
    const char *text = any_text(&len);
    int number;
    uint64_t id;

    switch (below(13)) {
    case 0:
        return eph_subscribe(hub, text, len, NULL, (eph_subscription_t **)place);
    case 1:
    case 2:
        return eph_publisher_open(hub, text, len, next_random() % 3, (eph_publisher_t **)place);
    case 3:
        return eph_link_to(hub, text, len, NULL, (eph_link_t **)place);
    case 4:
        return eph_link_accept(hub, any_timeout(), (eph_link_t **)place);
    case 5:
        return eph_hub_closer(hub, (eph_closer_t **)place);
    case 6:
        return eph_hub_take(hub, any_timeout(), &events[below(SLOTS)]);
    case 7:
        return eph_hub_list(hub, (eph_hub_info_t *)results, below(5), &count);
    case 8:
        return eph_hub_unlink(hub, text, len, &number);
    case 9:
        return eph_request(hub, text, len, 0, bytes, any_len(), 100000, &events[below(SLOTS)]);
    case 10:
        return eph_reply(hub, &events[below(SLOTS)], 0, bytes, any_len(), NULL);
    case 11:
        return eph_hub_arm(hub, &number);
    default:
        return eph_hub_id(hub, &id);
    }
}

static int a_call_about_others(void *handle) {
    size_t count;
    int number;
    eph_link_state_t link;

    switch (below(14)) {
    case 0:
    case 1:
        return eph_subscription_take((eph_subscription_t *)handle, any_timeout(), &events[below(SLOTS)]);
    case 2:
        return eph_receive((eph_subscription_t *)handle, any_timeout(), results, below(100), &count);
    case 3:
        return eph_subscription_arm((eph_subscription_t *)handle, &number);
    case 4:
        return eph_subscription_on_event((eph_subscription_t *)handle, on_event, NULL, NULL);
    case 5:
        return eph_subscription_dispatch((eph_subscription_t *)handle, any_timeout(), below(4), &count);
    case 6:
    case 7:
        return eph_publish((eph_publisher_t *)handle, bytes, any_len(), any_timeout(), NULL);
    case 8:
        return eph_publish_written((eph_publisher_t *)handle, any_len(), write_bytes, NULL,
                                   any_timeout(), NULL);
    case 9:
        return eph_publisher_loan((eph_publisher_t *)handle, any_len(), &loans[below(SLOTS)]);
    case 10:
        return eph_link_send((eph_link_t *)handle, 1, bytes, any_len(), any_timeout());
    case 11:
        return eph_link_loan((eph_link_t *)handle, 1, any_len(), any_timeout(), &loans[below(SLOTS)]);
    case 12:
        eph_link_state_init(&link);
        return eph_link_state((eph_link_t *)handle, &link);
    default:
        return eph_closer_free((eph_closer_t *)handle);
    }
}

static int a_call_about_what_is_lent(void) {
    eph_event_t *event = &events[below(SLOTS)];
    eph_loan_t *loan = &loans[below(SLOTS)];
    eph_event_details_t details;
    eph_pair_t pair;

    switch (below(8)) {
    case 0:
        eph_event_details_init(&details);
        return eph_event_details(event, &details);
    case 1:
        return eph_event_metadata(event, below(3), &pair);
    case 2:
        return eph_event_check(event, below(3), any_len());
    case 3:
        event->handle ^= below(4) == 0 ? UINT64_C(1) << below(64) : 0;
        return eph_event_release(event);
    case 4:
    case 5:
        return eph_event_release(event);
    case 6:
        return eph_loan_discard(loan);
    default:
        return eph_loan_send(loan, any_len(), any_timeout(), NULL);
    }
}

/* Frees what a handle stands for, whatever that is; 0 if it has. */
static int free_anything(void *handle) {
    return eph_subscription_free((eph_subscription_t *)handle) &&
           eph_publisher_free((eph_publisher_t *)handle) && eph_link_free((eph_link_t *)handle) &&
           eph_closer_free((eph_closer_t *)handle);
}

int main(int argc, char **argv) {
    eph_supervisor_t *supervisor;
    eph_hub_t *hubs[2];
    long calls, i;
    size_t slot;
    int seen[40] = {0};

    CHECK(argc == 4);
    state = strtoull(argv[2], NULL, 10) * 2 + 1;
    calls = atol(argv[3]);
    OK(eph_supervisor_start_z(argv[1], &supervisor));
    hubs[0] = open_hub(argv[1], "a");
    hubs[1] = open_hub(argv[1], "b");
    for (i = 0; i < calls; i++) {
        void *place = NULL;
        int code;
        switch (below(4)) {
        case 0:
            slot = below(SLOTS);
            code = a_call_about_hubs(below(8) ? hubs[below(2)] : (eph_hub_t *)any_handle(), &place);
            if (place != NULL) {
                CHECK(code == 0);
                free_anything(handles[slot]);
                handles[slot] = place; /* what could not be freed is freed at the end, if it is kept */
            }
            break;
        case 1:
            code = a_call_about_what_is_lent();
            break;
        case 2:
            code = below(6) ? a_call_about_others(any_handle()) : free_anything(any_handle()) * 0;
            break;
        default:
            code = a_call_about_others(any_handle());
        }
        CHECK(code <= 0 && code >= EPH_EHUBGONE && code != EPH_EINTERNAL);
        seen[-code]++;
    }
    for (slot = 0; slot < SLOTS; slot++) {
        eph_event_release(&events[slot]);
        eph_loan_discard(&loans[slot]);
    }
    for (slot = 0; slot < SLOTS; slot++) {
        free_anything(handles[slot]);
    }
    for (slot = 0; slot < 2; slot++) {
        int code = eph_hub_free(hubs[slot]);
        CHECK(code == 0 || code == EPH_EBUSY); /* an event that was forgotten, which is allowed */
    }
    OK(eph_supervisor_free(supervisor));
    CHECK(seen[0] > 0 && seen[-EPH_EHANDLE] > 0 && seen[-EPH_EINVAL] > 0);
    return 0;
}
