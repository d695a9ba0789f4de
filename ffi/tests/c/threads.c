/* Threads, by the rules and against them: threads DIRECTORY. */
#include "check.h"
#include <pthread.h>
#include <sched.h>

enum { EVENTS = 20000, THREADS = 4 };

static eph_hub_t *a, *b;
static eph_subscription_t *subs[THREADS];
static int go_on = 1;

/* One of several subscriptions of a hub, each on a thread of its own. */
static void *subscriber(void *which) {
    eph_subscription_t *sub = subs[*(int *)which];
    eph_event_t event;
    int i;

    for (i = 0; i < EVENTS; i++) {
        int got;
        OK(eph_subscription_take(sub, 60 * SECOND, &event));
        memcpy(&got, event.data, sizeof got);
        CHECK(got == i);
        OK(eph_event_release(&event));
    }
    return NULL;
}

static void by_the_rules(void) {
    pthread_t threads[THREADS];
    int numbers[THREADS], i;
    eph_publisher_t *pub;

    for (i = 0; i < THREADS; i++) {
        OK(eph_subscribe_z(b, "counted", NULL, &subs[i]));
        numbers[i] = i;
    }
    OK(eph_publisher_open_z(a, "counted", EPH_RAW, &pub));
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, subscriber, &numbers[i]) == 0);
    }
    for (i = 0; i < EVENTS; i++) {
        OK(eph_publish(pub, &i, sizeof i, EPH_FOREVER, NULL));
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        OK(eph_subscription_free(subs[i])); /* on another thread than it was used by */
    }
    OK(eph_publisher_free(pub));
}

/* A handle that goes from thread to thread, under a lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static eph_publisher_t *passed;

static void *passer(void *unused) {
    int i;
    (void)unused;
    for (i = 0; i < 2000; i++) {
        pthread_mutex_lock(&lock);
        OK(eph_publish(passed, &i, sizeof i, EPH_FOREVER, NULL));
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* An event that one thread takes and another gives back. */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static eph_event_t handed;

static void *taker(void *sub) {
    int i;
    for (i = 0; i < 2000; i++) {
        eph_event_t event;
        OK(eph_subscription_take((eph_subscription_t *)sub, 60 * SECOND, &event));
        pthread_mutex_lock(&lock);
        handed = event;
        pthread_cond_broadcast(&changed);
        while (handed.handle != 0) {
            pthread_cond_wait(&changed, &lock);
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *giver_back(void *unused) {
    int i;
    (void)unused;
    for (i = 0; i < 2000; i++) {
        int got;
        pthread_mutex_lock(&lock);
        while (handed.handle == 0) {
            pthread_cond_wait(&changed, &lock);
        }
        memcpy(&got, handed.data, sizeof got);
        CHECK(got == i);
        OK(eph_event_release(&handed));
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Counts what it is called for, on the thread that dispatches. */
static void count_event(void *count, eph_event_t *event) {
    CHECK(event->len == sizeof(int));
    ++*(int *)count;
}

static void forget_count(void *count) { *(int *)count = -1; }

static void *dispatcher(void *sub) {
    size_t done = 0, count;
    while (done < 2000) {
        OK(eph_subscription_dispatch((eph_subscription_t *)sub, 60 * SECOND, 100, &count));
        done += count;
    }
    return NULL;
}

static void events_and_calls(void) {
    pthread_t threads[3];
    eph_subscription_t *taken, *called;
    eph_publisher_t *pub;
    int i, count = 0;

    OK(eph_subscribe_z(b, "handed.over", NULL, &taken));
    OK(eph_subscribe_z(b, "handed.>", NULL, &called));
    OK(eph_subscription_on_event(called, count_event, &count, forget_count));
    OK(eph_publisher_open_z(a, "handed.over", EPH_RAW, &pub));
    CHECK(pthread_create(&threads[0], NULL, taker, taken) == 0);
    CHECK(pthread_create(&threads[1], NULL, giver_back, NULL) == 0);
    CHECK(pthread_create(&threads[2], NULL, dispatcher, called) == 0);
    for (i = 0; i < 2000; i++) {
        OK(eph_publish(pub, &i, sizeof i, EPH_FOREVER, NULL));
    }
    for (i = 0; i < 3; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(count == 2000);
    OK(eph_subscription_free(called));
    CHECK(count == -1);
    OK(eph_subscription_free(taken));
    OK(eph_publisher_free(pub));
}

/* A link that one thread opens, and a loan that another sends. */
static eph_link_t *opened;
static eph_loan_t lent;

static void *opener(void *unused) {
    (void)unused;
    OK(eph_link_to_z(a, "b", NULL, &opened));
    OK(eph_link_loan(opened, EPH_RAW, sizeof(int), EPH_NOW, &lent));
    return NULL;
}

static void *link_reader(void *unused) {
    eph_event_t event;
    int i;
    (void)unused;
    for (i = 0; i < 2000; i++) {
        int got;
        OK(eph_hub_take(b, 60 * SECOND, &event));
        memcpy(&got, event.data, sizeof got);
        CHECK(got == i);
        OK(eph_event_release(&event));
    }
    return NULL;
}

static void links(void) {
    pthread_t thread;
    eph_event_t event;
    int i = 0;

    CHECK(pthread_create(&thread, NULL, opener, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(pthread_create(&thread, NULL, link_reader, NULL) == 0);
    memcpy(lent.data, &i, sizeof i);
    OK(eph_loan_send(&lent, sizeof i, EPH_NOW, NULL));
    for (i = 1; i < 2000; i++) {
        OK(eph_link_send(opened, EPH_RAW, &i, sizeof i, EPH_FOREVER));
    }
    CHECK(pthread_join(thread, NULL) == 0);
    OK(eph_link_free(opened));
    OK(eph_hub_unlink_z(b, "a", NULL));
    EXPECT(EPH_ELINKCLOSED, eph_hub_take(a, 60 * SECOND, &event));
}

/* Gives an event back, although others use what it is of. */
static void release(eph_event_t *event) {
    int code;
    while ((code = eph_event_release(event)) == EPH_EBUSY) {
        sched_yield();
    }
    OK(code);
}

/* Uses what another thread is using. */
static void *intruder(void *sub) {
    eph_event_t event;
    eph_publisher_t *free_slot;
    int code;

    while (__atomic_load_n(&go_on, __ATOMIC_ACQUIRE)) {
        code = eph_subscription_take((eph_subscription_t *)sub, EPH_NOW, &event);
        CHECK(code == 0 || code == EPH_EBUSY || code == EPH_ETIMEDOUT || code == EPH_ELAGGED);
        if (code == 0) {
            release(&event);
        }
        code = eph_publish(passed, "x", 1, EPH_NOW, NULL);
        CHECK(code == 0 || code == EPH_EBUSY || code == EPH_EFULL);
        code = eph_publisher_open_z(a, "churn", EPH_RAW, &free_slot);
        CHECK(code == 0 || code == EPH_EBUSY);
        if (free_slot != NULL) {
            OK(eph_publisher_free(free_slot)); /* nobody else has it */
        }
    }
    return NULL;
}

static void against_the_rules(void) {
    pthread_t threads[THREADS];
    eph_subscription_t *sub;
    eph_event_t event;
    int i, code;

    OK(eph_subscribe_z(b, "fought.over", NULL, &sub));
    OK(eph_publisher_open_z(a, "fought.over", EPH_RAW, &passed));
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, intruder, sub) == 0);
    }
    for (i = 0; i < EVENTS; i++) {
        code = eph_publish(passed, &i, sizeof i, EPH_NOW, NULL);
        CHECK(code == 0 || code == EPH_EBUSY || code == EPH_EFULL);
        code = eph_subscription_take(sub, EPH_NOW, &event);
        CHECK(code == 0 || code == EPH_EBUSY || code == EPH_ETIMEDOUT || code == EPH_ELAGGED);
        if (code == 0) {
            release(&event);
        }
    }
    __atomic_store_n(&go_on, 0, __ATOMIC_RELEASE);
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    OK(eph_subscription_free(sub));
    OK(eph_publisher_free(passed));
}

/* Waits until it is closed. */
static void *waiter(void *hub) {
    eph_event_t event;
    int code;
    while ((code = eph_hub_take((eph_hub_t *)hub, EPH_FOREVER, &event)) == EPH_EBUSY) {
    }
    EXPECT(EPH_ECLOSED, code);
    return NULL;
}

static void *silence(void *sub) {
    eph_event_t event;
    int code;
    while ((code = eph_subscription_take((eph_subscription_t *)sub, EPH_FOREVER, &event)) ==
           EPH_EBUSY) {
    }
    EXPECT(EPH_ECLOSED, code);
    return NULL;
}

/* Opens a hub for others. */
static void *joiner(void *directory) { return open_hub((const char *)directory, "b"); }

int main(int argc, char **argv) {
    eph_supervisor_t *supervisor;
    eph_closer_t *closer;
    pthread_t threads[2];
    eph_subscription_t *silent;
    void *opened_by_another;
    uint64_t id;
    int i, fd;

    CHECK(argc == 2);
    OK(eph_supervisor_start_z(argv[1], &supervisor));
    a = open_hub(argv[1], "a");
    CHECK(pthread_create(&threads[0], NULL, joiner, argv[1]) == 0);
    CHECK(pthread_join(threads[0], &opened_by_another) == 0);
    b = (eph_hub_t *)opened_by_another;
    by_the_rules();
    OK(eph_publisher_open_z(a, "passed", EPH_RAW, &passed));
    for (i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, passer, NULL) == 0);
    }
    for (i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    OK(eph_publisher_free(passed));
    events_and_calls();
    links();
    against_the_rules();
    OK(eph_hub_closer(a, &closer));
    OK(eph_subscribe_z(a, "silent", NULL, &silent));
    CHECK(pthread_create(&threads[0], NULL, waiter, a) == 0);
    while (eph_hub_id(a, &id) == 0) { /* until it is inside */
    }
    EXPECT(EPH_EBUSY, eph_hub_free(a));
    CHECK(pthread_create(&threads[1], NULL, silence, silent) == 0);
    while (eph_subscription_fd(silent, &fd) == 0) {
    }
    EXPECT(EPH_EBUSY, eph_subscription_free(silent));
    OK(eph_closer_close(closer));
    for (i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    OK(eph_subscription_free(silent));
    OK(eph_closer_free(closer));
    OK(eph_hub_free(a));
    OK(eph_hub_free(b));
    OK(eph_supervisor_free(supervisor));
    return 0;
}
