/* Request and reply: a service in one process, who asks in another.
 *
 *     cc request.c $(pkg-config --cflags --libs ephapse) -o request && ./request
 */
#include "example.h"
#include <sys/wait.h>
#include <unistd.h>

/* Answers as many requests as it is told, with the sum of the bytes. */
static int service(int count) {
    eph_hub_t *hub = join("adder");
    eph_subscription_t *requests;
    eph_event_t request;

    TRY(eph_subscribe_z(hub, "sum.bytes", NULL, &requests));
    while (count-- > 0) {
        uint64_t sum = 0;
        size_t i;
        TRY(eph_subscription_take(requests, EPH_FOREVER, &request));
        for (i = 0; i < request.len; i++) {
            sum += ((const unsigned char *)request.data)[i];
        }
        TRY(eph_reply(hub, &request, EPH_RAW, &sum, sizeof sum, NULL));
        TRY(eph_event_release(&request));
    }
    TRY(eph_subscription_free(requests));
    TRY(eph_hub_free(hub));
    return 0;
}

int main(void) {
    enum { REQUESTS = 10 };
    unsigned char bytes[REQUESTS];
    eph_hub_t *hub;
    int i, status;
    pid_t child = fork(); /* before there are hubs: a child could not use those */

    if (child == 0) {
        return service(REQUESTS);
    }
    hub = join("asker");
    for (i = 0; i < REQUESTS; i++) {
        eph_event_t reply;
        uint64_t sum;
        int code;
        bytes[i] = (unsigned char)(i + 1);
        /* The service may not be there yet. */
        while ((code = eph_request_z(hub, "sum.bytes", EPH_RAW, bytes, (size_t)i + 1,
                                     5 * INT64_C(1000000000), &reply)) == EPH_ENORESPONDERS) {
            usleep(1000);
        }
        TRY(code);
        memcpy(&sum, reply.data, sizeof sum);
        printf("the sum of 1 to %d is %llu, says %.*s\n", i + 1, (unsigned long long)sum,
               (int)reply.source_len, reply.source);
        TRY(eph_event_release(&reply));
    }
    TRY(eph_hub_free(hub));
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
