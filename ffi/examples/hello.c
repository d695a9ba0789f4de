/* Publish and subscribe. For one process the two hubs are in one; they might as well not be.
 *
 *     cc hello.c $(pkg-config --cflags --libs ephapse) -o hello && ./hello
 */
#include "example.h"

struct pose {
    uint64_t stamp_ns;
    double position[3];
    float heading;
};

int main(void) {
    struct pose pose = {1, {0.0, 1.0, 2.0}, 0.5f};
    uint64_t schema;
    eph_hub_t *camera = join("camera"), *planner = join("planner");
    eph_subscription_t *seen;
    eph_publisher_t *poses;
    eph_event_t event;
    int i;

    TRY(eph_schema_z("Pose", 1, "Pose{stamp_ns:u64,position:[f64;3],heading:f32}", &schema));
    TRY(eph_subscribe_z(planner, "robot.>", NULL, &seen));
    TRY(eph_publisher_open_z(camera, "robot.pose", schema, &poses));
    for (i = 0; i < 3; i++) {
        pose.position[0] += 0.5;
        TRY(eph_publish(poses, &pose, sizeof pose, EPH_FOREVER, NULL));
    }
    for (i = 0; i < 3; i++) {
        const struct pose *got;
        TRY(eph_subscription_take(seen, EPH_FOREVER, &event));
        TRY(eph_event_check(&event, schema, sizeof *got));
        got = (const struct pose *)event.data; /* until it is released */
        printf("%.*s from %.*s: %.1f %.1f %.1f\n", (int)event.subject_len, event.subject,
               (int)event.source_len, event.source, got->position[0], got->position[1],
               got->position[2]);
        TRY(eph_event_release(&event));
    }
    TRY(eph_publisher_free(poses));
    TRY(eph_subscription_free(seen));
    TRY(eph_hub_free(planner));
    TRY(eph_hub_free(camera));
    return 0;
}
