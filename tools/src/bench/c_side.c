/* `bench latency --via c`: what hub_side.rs does with the same 32-byte event, by the C interface. */
#include <ephapse.h>
#include <stdlib.h>

struct sample {
    uint64_t number;
    double value;
    float weight;
    uint32_t code;
    int32_t offset;
    uint16_t channel;
    uint8_t level;
    uint8_t urgent;
};

struct c_side {
    eph_hub_t *hub;
    eph_link_t *link;
    eph_closer_t *closer;
    uint64_t schema;
    eph_event_t event; /* the last one that came */
    uint64_t next;     /* the number of the next question */
};

static struct sample question(uint64_t number) {
    struct sample sample;
    sample.number = number;
    sample.value = (double)(uint32_t)number * 0.5;
    sample.weight = (float)(uint16_t)number;
    sample.code = (uint32_t)number << 7 | (uint32_t)number >> 25;
    sample.offset = (int32_t)(uint32_t)(number >> 3);
    sample.channel = (uint16_t)number;
    sample.level = (uint8_t)number;
    sample.urgent = number % 2 == 0;
    return sample;
}

static struct sample answer(struct sample sample) {
    sample.value = -sample.value;
    sample.weight += 1.0f;
    sample.code = ~sample.code;
    sample.offset = (int32_t)(0u - (uint32_t)sample.offset);
    sample.channel = (uint16_t)(sample.channel << 1 | sample.channel >> 15);
    sample.level ^= 0x55;
    sample.urgent = !sample.urgent;
    return sample;
}

static int same(const struct sample *a, const struct sample *b) {
    return (a->number == b->number) & (a->value == b->value) & (a->weight == b->weight) &
           (a->code == b->code) & (a->offset == b->offset) & (a->channel == b->channel) &
           (a->level == b->level) & (a->urgent == b->urgent);
}

void bench_c_free(struct c_side *side) {
    if (side != NULL) {
        (void)eph_event_release(&side->event);
        (void)eph_closer_free(side->closer);
        (void)eph_link_free(side->link);
        (void)eph_hub_free(side->hub);
        free(side);
    }
}

/* Joins; gives NULL if that fails. */
struct c_side *bench_c_open(const char *directory, size_t len, const char *name, size_t name_len,
                            int wait, int timestamps) {
    static const char LAYOUT[] = "Sample{number:u64,value:f64,weight:f32,code:u32,offset:i32,"
                                 "channel:u16,level:u8,urgent:bool}";
    struct c_side *side = (struct c_side *)calloc(1, sizeof *side);
    eph_hub_options_t options;

    eph_hub_options_init(&options);
    options.directory = directory;
    options.directory_len = len;
    options.wait = wait;
    options.timestamps = timestamps ? EPH_ON : EPH_OFF;
    if (side != NULL && (eph_schema_z("bench.Sample", 1, LAYOUT, &side->schema) != 0 ||
                         eph_hub_open(EPH_ABI, name, name_len, &options, &side->hub) != 0 ||
                         eph_hub_closer(side->hub, &side->closer) != 0)) {
        bench_c_free(side);
        return NULL;
    }
    return side;
}

/* Opens the link, or with peer_len 0 waits for the one that the other side opens. */
int bench_c_link(struct c_side *side, const char *peer, size_t peer_len) {
    return peer_len == 0 ? eph_link_accept(side->hub, 30 * INT64_C(1000000000), &side->link)
                         : eph_link_to(side->hub, peer, peer_len, NULL, &side->link);
}

int bench_c_close(struct c_side *side) { return eph_closer_close(side->closer); }

const char *bench_c_error(void) { return eph_last_error_message(); }

/* Round trips, as many as there are samples; wrong: answers that were not what they should be. */
int bench_c_ping(struct c_side *side, uint64_t *samples, size_t count, uint64_t (*ticks)(void),
                 uint64_t *wrong) {
    eph_event_t *event = &side->event;
    uint64_t before = ticks();
    size_t i;

    for (i = 0; i < count; i++) {
        struct sample sent = question(side->next), expected;
        uint64_t after;
        int code = eph_link_send(side->link, side->schema, &sent, sizeof sent, EPH_FOREVER);
        if (code == 0) {
            code = eph_hub_next(side->hub, EPH_FOREVER, event);
        }
        if (code != 0) {
            return code;
        }
        expected = answer(question(side->next));
        *wrong += event->sequence != side->next ||
                  !eph_event_is(event, side->schema, sizeof expected) ||
                  !same((const struct sample *)event->data, &expected);
        side->next++;
        after = ticks();
        samples[i] = after - before;
        before = after;
    }
    return 0;
}

/* Answers so many questions. */
int bench_c_echo(struct c_side *side, uint64_t trips, uint64_t *wrong) {
    eph_event_t *event = &side->event;

    while (trips-- > 0) {
        struct sample asked, expected = question(side->next), reply;
        int code = eph_hub_next(side->hub, EPH_FOREVER, event);
        if (code != 0) {
            return code;
        }
        memset(&asked, 0, sizeof asked);
        if (eph_event_is(event, side->schema, sizeof asked)) {
            asked = *(const struct sample *)event->data;
        }
        reply = answer(asked);
        code = eph_link_send(side->link, side->schema, &reply, sizeof reply, EPH_FOREVER);
        *wrong += event->sequence != side->next || !same(&asked, &expected);
        side->next++;
        if (code != 0) {
            return code;
        }
    }
    return 0;
}
