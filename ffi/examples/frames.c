/* Frames of 1 MiB over a link, written and read where they are: nothing is copied.
 *
 *     cc frames.c $(pkg-config --cflags --libs ephapse) -o frames && ./frames
 */
#include "example.h"
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FRAMES = 200, WORDS = (1 << 20) / 8 };

static int camera(void) {
    eph_hub_t *hub = join("camera");
    eph_link_t *link;
    eph_link_options_t options;
    uint64_t frame;

    eph_link_options_init(&options);
    options.send_capacity = 8 << 20;
    TRY(eph_hub_wait_for_z(hub, "display", 10 * INT64_C(1000000000), NULL));
    TRY(eph_link_to_z(hub, "display", &options, &link));
    for (frame = 0; frame < FRAMES; frame++) {
        eph_loan_t loan;
        uint64_t *pixels, i;
        TRY(eph_link_loan(link, EPH_RAW, WORDS * sizeof *pixels, EPH_FOREVER, &loan));
        pixels = (uint64_t *)loan.data;
        for (i = 0; i < WORDS; i++) {
            pixels[i] = frame * WORDS + i;
        }
        TRY(eph_loan_send(&loan, loan.len, EPH_FOREVER, NULL));
    }
    TRY(eph_link_free(link)); /* the other side reads what was sent, and is then told */
    TRY(eph_hub_free(hub));
    return 0;
}

int main(void) {
    eph_hub_t *hub;
    eph_event_t event = {0};
    struct timespec begin, end;
    uint64_t frame = 0, wrong = 0, i;
    int code, status;
    double seconds;
    pid_t child = fork();

    if (child == 0) {
        return camera();
    }
    hub = join("display");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while ((code = eph_hub_next(hub, 20 * INT64_C(1000000000), &event)) == 0) {
        const uint64_t *pixels = (const uint64_t *)event.data;
        for (i = 0; i < WORDS; i++) {
            wrong += pixels[i] != frame * WORDS + i;
        }
        frame++;
    }
    if (code != EPH_ELINKCLOSED && code != EPH_EPEERGONE) {
        TRY(code);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
    printf("%llu frames of 1 MiB, %llu wrong words, %.0f MiB/s\n", (unsigned long long)frame,
           (unsigned long long)wrong, (double)frame / seconds);
    TRY(eph_hub_free(hub));
    return waitpid(child, &status, 0) == child && status == 0 && frame == FRAMES && wrong == 0 ? 0 : 1;
}
