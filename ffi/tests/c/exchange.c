/* One side of an exchange: exchange DIRECTORY send|receive link|bus COUNT. */
#include "check.h"

struct sample {
    uint64_t number;
    uint64_t words[3];
};

static uint64_t schema;

static struct sample sample_of(uint64_t number) {
    struct sample sample;
    sample.number = number;
    sample.words[0] = number * UINT64_C(0x9E3779B97F4A7C15);
    sample.words[1] = ~number;
    sample.words[2] = sample.words[0] ^ (number << 7);
    return sample;
}

static void send_all(eph_hub_t *hub, int over_link, uint64_t count) {
    eph_link_t *link = NULL;
    eph_publisher_t *pub = NULL;
    uint64_t number;

    OK(eph_hub_wait_for_z(hub, "receiver", 60 * SECOND, NULL));
    if (over_link) {
        OK(eph_link_to_z(hub, "receiver", NULL, &link));
    } else {
        uint32_t receivers = 0;
        OK(eph_publisher_open_z(hub, "exchange.samples", schema, &pub));
        while (receivers == 0) {
            OK(eph_publisher_receivers(pub, &receivers));
        }
    }
    for (number = 0; number < count; number++) {
        struct sample sample = sample_of(number);
        if (over_link && number % 2) {
            eph_loan_t loan;
            OK(eph_link_loan(link, schema, sizeof sample, EPH_FOREVER, &loan));
            memcpy(loan.data, &sample, sizeof sample);
            OK(eph_loan_send(&loan, sizeof sample, EPH_NOW, NULL));
        } else if (over_link) {
            OK(eph_link_send(link, schema, &sample, sizeof sample, EPH_FOREVER));
        } else {
            OK(eph_publish(pub, &sample, sizeof sample, EPH_FOREVER, NULL));
        }
    }
    OK(eph_publisher_free(pub));
    OK(eph_link_free(link));
}

static void receive_all(eph_hub_t *hub, int over_link, uint64_t count) {
    eph_subscription_t *sub = NULL;
    uint64_t number;

    if (!over_link) {
        OK(eph_subscribe_z(hub, "exchange.>", NULL, &sub));
    }
    for (number = 0; number < count; number++) {
        eph_event_t event;
        struct sample expected = sample_of(number);
        if (over_link) {
            OK(eph_hub_take(hub, 60 * SECOND, &event));
        } else {
            OK(eph_subscription_take(sub, 60 * SECOND, &event));
        }
        OK(eph_event_check(&event, schema, sizeof expected));
        CHECK(memcmp(event.data, &expected, sizeof expected) == 0);
        CHECK(event.sequence == number + !over_link);
        OK(eph_event_release(&event));
    }
    OK(eph_subscription_free(sub));
}

int main(int argc, char **argv) {
    eph_hub_t *hub;
    int sends, over_link;
    uint64_t count;

    CHECK(argc == 5);
    sends = strcmp(argv[2], "send") == 0;
    over_link = strcmp(argv[3], "link") == 0;
    count = strtoull(argv[4], NULL, 10);
    OK(eph_schema_z("exchange.Sample", 3, "Sample{number:u64,words:[u64;3]}", &schema));
    hub = open_hub(argv[1], sends ? "sender" : "receiver");
    if (sends) {
        send_all(hub, over_link, count);
    } else {
        receive_all(hub, over_link, count);
    }
    OK(eph_hub_free(hub));
    return 0;
}
