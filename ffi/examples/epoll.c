/* One thread, one epoll, several subscriptions: it sleeps until any of them has something.
 *
 *     cc epoll.c $(pkg-config --cflags --libs ephapse) -o epoll && ./epoll
 */
#include "example.h"
#include <sys/epoll.h>
#include <unistd.h>

enum { SUBSCRIPTIONS = 3, ROUNDS = 5 };

static const char *const PATTERNS[SUBSCRIPTIONS] = {"sensor.>", "*.health", "command.stop"};
static const char *const SUBJECTS[SUBSCRIPTIONS] = {"sensor.imu", "motor.health", "command.stop"};

/* Takes all that there is; when it returns, the descriptor tells of what comes next. */
static int drain(eph_subscription_t *subscription) {
    int armed = 0, count = 0, code;
    eph_event_t event;

    while (!armed) {
        while ((code = eph_subscription_take(subscription, EPH_NOW, &event)) == 0) {
            printf("%.*s: %.*s\n", (int)event.subject_len, event.subject, (int)event.len,
                   (const char *)event.data);
            TRY(eph_event_release(&event));
            count++;
        }
        if (code != EPH_ETIMEDOUT) {
            TRY(code);
        }
        TRY(eph_subscription_arm(subscription, &armed));
    }
    return count;
}

int main(void) {
    eph_hub_t *loop = join("loop"), *source = join("source");
    eph_subscription_t *subscriptions[SUBSCRIPTIONS];
    eph_publisher_t *publishers[SUBSCRIPTIONS];
    struct epoll_event ready;
    int epoll = epoll_create1(EPOLL_CLOEXEC), i, fds[SUBSCRIPTIONS], seen = 0;

    for (i = 0; i < SUBSCRIPTIONS; i++) {
        TRY(eph_subscribe_z(loop, PATTERNS[i], NULL, &subscriptions[i]));
        TRY(eph_publisher_open_z(source, SUBJECTS[i], EPH_RAW, &publishers[i]));
        TRY(eph_subscription_fd(subscriptions[i], &fds[i]));
        ready.events = EPOLLIN;
        ready.data.u32 = (uint32_t)i;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &ready) != 0) {
            perror("epoll_ctl");
            return 1;
        }
        seen += drain(subscriptions[i]);
    }
    for (i = 0; i < SUBSCRIPTIONS * ROUNDS; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "number %d", i);
        TRY(eph_publish(publishers[i % SUBSCRIPTIONS], text, (size_t)len, EPH_FOREVER, NULL));
    }
    while (seen < SUBSCRIPTIONS * ROUNDS) {
        if (epoll_wait(epoll, &ready, 1, 10000) != 1) {
            fprintf(stderr, "nothing for ten seconds\n");
            return 1;
        }
        seen += drain(subscriptions[ready.data.u32]);
    }
    for (i = 0; i < SUBSCRIPTIONS; i++) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fds[i], NULL); /* before it is closed */
        TRY(eph_subscription_free(subscriptions[i]));
        TRY(eph_publisher_free(publishers[i]));
    }
    close(epoll);
    TRY(eph_hub_free(source));
    TRY(eph_hub_free(loop));
    return 0;
}
