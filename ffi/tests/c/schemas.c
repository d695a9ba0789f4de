/* One side of an exchange of structs that were printed from a layout: schemas DIRECTORY send|receive.
 * Every byte of what is sent is set, and of what arrives is looked at, by the names of its fields. */
#include "check.h"
#include "robot_state.h"

static robot_State_t state_of(uint64_t number) {
    robot_State_t state;
    memset(&state, 0, sizeof state);
    state.number = number;
    state.on = number % 2 == 1;
    state.class_ = 0xDF;
    state.position[0] = (double)number * 0.5;
    state.position[1] = -1.0;
    state.position[2] = 1e300;
    if (number % 3 == 0) {
        state.limit.some = 1;
        state.limit.value = (uint16_t)number;
    }
    state.pair._0 = -7;
    state.pair._1 = -(int64_t)number * (INT64_C(1) << 33);
    switch (number % 3) {
    case 0:
        state.mode.tag = robot_State_Mode_Idle;
        break;
    case 1:
        state.mode.Run.tag = robot_State_Mode_Run;
        state.mode.Run._0 = (uint32_t)number;
        break;
    default:
        state.mode.Go.tag = robot_State_Mode_Go;
        state.mode.Go.x = 9;
        state.mode.Go.to[0] = 0.5f;
        state.mode.Go.to[1] = (float)number;
    }
    state.sides[0] = robot_State_Side_Sell;
    state.sides[1] = robot_State_Side_Buy;
    state.wide = (eph_u128_t)number << 64 | 5;
    return state;
}

static void check_state(const robot_State_t *state, uint64_t number) {
    robot_State_t expected = state_of(number);
    CHECK(state->number == number && state->on == expected.on && state->class_ == 0xDF);
    CHECK(memcmp(state->position, expected.position, sizeof expected.position) == 0);
    CHECK(state->limit.some == expected.limit.some);
    CHECK(!state->limit.some || state->limit.value == (uint16_t)number);
    CHECK(state->pair._0 == -7 && state->pair._1 == expected.pair._1);
    CHECK(state->mode.tag == number % 3);
    CHECK(state->mode.tag != robot_State_Mode_Run || state->mode.Run._0 == number);
    CHECK(state->mode.tag != robot_State_Mode_Go ||
          (state->mode.Go.x == 9 && memcmp(state->mode.Go.to, expected.mode.Go.to, 8) == 0));
    CHECK(state->sides[0] == robot_State_Side_Sell && state->sides[1] == robot_State_Side_Buy);
    CHECK(state->wide == expected.wide);
}

int main(int argc, char **argv) {
    eph_hub_t *hub;
    eph_event_t event;
    eph_subscription_t *sub;
    uint64_t number, schema, other;

    CHECK(argc == 3);
    OK(eph_schema_z(ROBOT_STATE_NAME, ROBOT_STATE_VERSION, ROBOT_STATE_LAYOUT, &schema));
    CHECK(schema == ROBOT_STATE_SCHEMA);
    OK(eph_schema_z("never.Published", 1, "Published{x:u8}", &other));
    hub = open_hub(argv[1], "c");
    if (strcmp(argv[2], "send") == 0) {
        eph_publisher_t *pub;
        uint32_t receivers = 0;
        OK(eph_subscribe_z(hub, "robot.done", NULL, &sub));
        OK(eph_publisher_open_z(hub, "robot.state", schema, &pub));
        while (receivers == 0) {
            OK(eph_publisher_receivers(pub, &receivers));
        }
        for (number = 0; number < 100; number++) {
            robot_State_t state = state_of(number);
            OK(eph_publish(pub, &state, sizeof state, EPH_FOREVER, NULL));
        }
        OK(eph_subscription_take(sub, 60 * SECOND, &event));
        OK(eph_event_release(&event));
        OK(eph_publisher_free(pub));
    } else {
        OK(eph_subscribe_z(hub, "robot.state", NULL, &sub));
        for (number = 0; number < 100; number++) {
            OK(eph_subscription_take(sub, 60 * SECOND, &event));
            OK(eph_event_check(&event, schema, sizeof(robot_State_t)));
            check_state(event.data, number);
            OK(eph_event_release(&event));
        }
        OK(eph_subscription_take(sub, 60 * SECOND, &event));
        EXPECT(EPH_ESCHEMA, eph_event_check(&event, schema, sizeof(robot_State_t)));
        OK(eph_event_release(&event));
    }
    OK(eph_subscription_free(sub));
    OK(eph_hub_free(hub));
    return 0;
}
