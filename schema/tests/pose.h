/* The event robot.Pose, version 2: 80 bytes. Made from its layout text by
   Ephapse; changes belong into the type in Rust. */
#ifndef EPHAPSE_SCHEMA_ROBOT_POSE_2_H
#define EPHAPSE_SCHEMA_ROBOT_POSE_2_H

#include <stddef.h>
#include <stdint.h>

#ifndef EPHAPSE_ASSERT
#ifdef __cplusplus
#define EPHAPSE_ASSERT static_assert
#else
#define EPHAPSE_ASSERT __extension__ _Static_assert
#endif
#endif

/* What eph_schema() takes, and what it computes from it. */
#define ROBOT_POSE_NAME "robot.Pose"
#define ROBOT_POSE_VERSION 2u
#define ROBOT_POSE_LAYOUT "Pose{stamp_ns:u64,position:[f64;3],on:bool,class:char,limit:option<u16>,pair:(u8,i32),mode:enum Mode{Idle,Run(u32),Go{x:u8,type:u64}},sides:[enum Side{Buy=1,Sell};2],unit:Unit,part:Part{x:f32}}"
#define ROBOT_POSE_SCHEMA UINT64_C(0x8f300b1abc94785e)

/* Clear it before it is filled: the gaps between fields are sent, too. */
typedef union robot_Pose_Mode_t {
    uint8_t tag; /* which it is: */
    struct {
        uint8_t tag;
        uint32_t _0;
    } Run;
    struct {
        uint8_t tag;
        uint8_t x;
        uint64_t type;
    } Go;
} robot_Pose_Mode_t;
enum { /* its tags */
    robot_Pose_Mode_Idle = 0,
    robot_Pose_Mode_Run = 1,
    robot_Pose_Mode_Go = 2,
};

typedef uint8_t robot_Pose_Side_t; /* one of these: */
enum {
    robot_Pose_Side_Buy = 1,
    robot_Pose_Side_Sell = 2,
};

typedef struct robot_Pose_Part_t {
    float x;
} robot_Pose_Part_t;

typedef struct robot_Pose_t {
    uint64_t stamp_ns;
    double position[3];
    uint8_t on; /* 0 or 1 */
    uint32_t class_; /* a Unicode scalar value */
    struct {
        uint8_t some; /* 0: no value, 1: this one */
        uint16_t value;
    } limit;
    struct {
        uint8_t _0;
        int32_t _1;
    } pair;
    robot_Pose_Mode_t mode;
    robot_Pose_Side_t sides[2];
    /* unit: Unit, which has no bytes */
    robot_Pose_Part_t part;
} robot_Pose_t;

EPHAPSE_ASSERT(sizeof(robot_Pose_Mode_t) == 16, "robot_Pose_Mode_t has 16 bytes");
EPHAPSE_ASSERT(offsetof(robot_Pose_Mode_t, Run._0) == 4, "Run._0 is at 4");
EPHAPSE_ASSERT(offsetof(robot_Pose_Mode_t, Go.x) == 1, "Go.x is at 1");
EPHAPSE_ASSERT(offsetof(robot_Pose_Mode_t, Go.type) == 8, "Go.type is at 8");
EPHAPSE_ASSERT(sizeof(robot_Pose_Side_t) == 1, "robot_Pose_Side_t has 1 bytes");
EPHAPSE_ASSERT(sizeof(robot_Pose_Part_t) == 4, "robot_Pose_Part_t has 4 bytes");
EPHAPSE_ASSERT(offsetof(robot_Pose_Part_t, x) == 0, "x is at 0");
EPHAPSE_ASSERT(sizeof(robot_Pose_t) == 80, "robot_Pose_t has 80 bytes");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, stamp_ns) == 0, "stamp_ns is at 0");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, position) == 8, "position is at 8");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, on) == 32, "on is at 32");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, class_) == 36, "class_ is at 36");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, limit) == 40, "limit is at 40");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, limit.value) == 42, "limit.value is at 42");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, pair) == 44, "pair is at 44");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, pair._0) == 44, "pair._0 is at 44");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, pair._1) == 48, "pair._1 is at 48");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, mode) == 56, "mode is at 56");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, sides) == 72, "sides is at 72");
EPHAPSE_ASSERT(offsetof(robot_Pose_t, part) == 76, "part is at 76");

#endif
