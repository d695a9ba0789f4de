/* What a forked child gets for what it has inherited, and that its parent goes on: forks DIRECTORY. */
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>

static eph_subscription_t *other;

/* What a thread gets that uses a handle. */
static void *use_it(void *code) {
    int fd;
    *(int *)code = eph_subscription_fd(other, &fd);
    return NULL;
}

static int in_thread(void) {
    pthread_t thread;
    int code = 1;
    CHECK(pthread_create(&thread, NULL, use_it, &code) == 0 && pthread_join(thread, NULL) == 0);
    return code;
}

int main(int argc, char **argv) {
    eph_supervisor_t *supervisor;
    eph_hub_t *a, *b, *own;
    eph_subscription_t *sub;
    eph_publisher_t *pub, *own_pub;
    eph_link_t *link, *unlinked;
    eph_closer_t *closer;
    eph_event_t event, next;
    eph_loan_t loan;
    uint64_t id;
    int status, i;

    CHECK(argc == 2);
    OK(eph_supervisor_start_z(argv[1], &supervisor));
    a = open_hub(argv[1], "a");
    b = open_hub(argv[1], "b");
    OK(eph_subscribe_z(b, "forked", NULL, &sub));
    OK(eph_subscribe_z(b, "forked", NULL, &other));
    OK(eph_publisher_open_z(a, "forked", EPH_RAW, &pub));
    OK(eph_link_to_z(a, "b", NULL, &link));
    OK(eph_hub_closer(a, &closer));
    for (i = 0; i < 2; i++) {
        OK(eph_publish(pub, "1", 1, SECOND, NULL));
        OK(eph_subscription_take(sub, SECOND, &event));
        OK(eph_link_loan(link, EPH_RAW, 10, EPH_NOW, &loan));
        OK(in_thread());
        if (fork_now() == 0) {
            EXPECT(EPH_EFORKED, in_thread());
            next = event;
            EXPECT(EPH_EFORKED, eph_subscription_next(sub, EPH_NOW, &next));
            CHECK(next.handle == event.handle);
            EXPECT(EPH_EFORKED, eph_hub_id(a, &id));
            EXPECT(EPH_EFORKED, eph_hub_take(a, EPH_FOREVER, &next));
            EXPECT(EPH_EFORKED, eph_subscription_take(other, EPH_FOREVER, &next));
            EXPECT(EPH_EFORKED, eph_publish(pub, "x", 1, EPH_FOREVER, NULL));
            EXPECT(EPH_EFORKED, eph_link_to_z(b, "a", NULL, &unlinked));
            EXPECT(EPH_EFORKED, eph_closer_close(closer));
            EXPECT(EPH_EFORKED, eph_event_release(&event));
            EXPECT(EPH_EFORKED, eph_loan_send(&loan, 10, EPH_NOW, NULL));
            EXPECT(EPH_EFORKED, eph_subscription_free(other));
            EXPECT(EPH_EFORKED, eph_link_free(link));
            EXPECT(EPH_EFORKED, eph_hub_free(a));
            EXPECT(EPH_EFORKED, eph_supervisor_free(supervisor));
            own = open_hub(argv[1], "child");
            OK(eph_publisher_open_z(own, "forked", EPH_RAW, &own_pub));
            OK(eph_publish(own_pub, "from the child", 14, SECOND, NULL));
            OK(eph_publisher_free(own_pub));
            OK(eph_hub_free(own));
            _exit(0);
        }
        CHECK(wait(&status) > 0 && status == 0);
        OK(eph_event_release(&event));
        OK(eph_loan_discard(&loan));
        OK(eph_subscription_take(sub, SECOND, &event));
        CHECK(event.len == 14 && memcmp(event.source, "child", 5) == 0);
        OK(eph_event_release(&event));
        OK(eph_publish(pub, "2", 1, SECOND, NULL));
        OK(eph_subscription_take(sub, SECOND, &event));
        CHECK(event.source_len == 1);
        OK(eph_event_release(&event));
    }
    OK(eph_closer_free(closer));
    OK(eph_link_free(link));
    OK(eph_publisher_free(pub));
    OK(eph_subscription_free(other));
    OK(eph_subscription_free(sub));
    OK(eph_hub_free(a));
    OK(eph_hub_free(b));
    OK(eph_supervisor_free(supervisor));
    return 0;
}
