/* Everything once: basics DIRECTORY. */
#include "check.h"
#include <poll.h>

static eph_supervisor_t *supervisor;
static eph_hub_t *a, *b;

static void publishing(void) {
    eph_subscription_t *sub;
    eph_publisher_t *pub;
    eph_event_t event;
    eph_sent_t sent;
    eph_loan_t loan;
    char buffer[16];
    size_t len;
    uint32_t receivers;

    OK(eph_subscribe_z(b, "robot.> *.health", NULL, &sub));
    OK(eph_publisher_open_z(a, "robot.pose", 7, &pub));
    OK(eph_publisher_receivers(pub, &receivers));
    CHECK(receivers == 1);
    EXPECT(EPH_ETIMEDOUT, eph_subscription_take(sub, EPH_NOW, &event));
    CHECK(event.handle == 0 && event.data == NULL);

    OK(eph_publish(pub, "hello", 5, EPH_FOREVER, &sent));
    CHECK(sent.path == EPH_PATH_BROADCAST && sent.receivers == 1);
    OK(eph_subscription_take(sub, SECOND, &event));
    CHECK(event.len == 5 && memcmp(event.data, "hello", 5) == 0);
    CHECK((uintptr_t)event.data % 32 == 0);
    CHECK(event.subject_len == 10 && memcmp(event.subject, "robot.pose", 10) == 0);
    CHECK(event.source_len == 1 && event.source[0] == 'a');
    CHECK(event.schema == 7 && event.sequence == 1 && event.link == 0);
    OK(eph_event_check(&event, 7, 5));
    EXPECT(EPH_ESCHEMA, eph_event_check(&event, 8, 5));
    EXPECT(EPH_EPAYLOAD, eph_event_check(&event, 7, 6));
    OK(eph_event_release(&event));
    OK(eph_event_release(&event));

    OK(eph_publish(pub, "copied", 6, SECOND, NULL));
    OK(eph_receive(sub, SECOND, buffer, sizeof buffer, &len));
    CHECK(len == 6 && memcmp(buffer, "copied", 6) == 0);
    OK(eph_publish(pub, "longer than that", 16, SECOND, NULL));
    EXPECT(EPH_ETOOLARGE, eph_receive(sub, SECOND, buffer, 6, &len));
    CHECK(len == 16 && memcmp(buffer, "longer", 6) == 0);

    OK(eph_publisher_loan(pub, 1000, &loan));
    CHECK((uintptr_t)loan.data % 32 == 0 && loan.len == 1000);
    EXPECT(EPH_EBUSY, eph_publish(pub, "x", 1, EPH_NOW, NULL));
    EXPECT(EPH_EBUSY, eph_publisher_free(pub));
    memset(loan.data, 'l', 1000);
    EXPECT(EPH_EINVAL, eph_loan_send(&loan, 1001, EPH_NOW, NULL));
    OK(eph_loan_send(&loan, 999, SECOND, &sent));
    CHECK(loan.handle == 0 && sent.receivers == 1);
    OK(eph_subscription_take(sub, SECOND, &event));
    CHECK(event.len == 999 && ((const char *)event.data)[998] == 'l');
    EXPECT(EPH_EBUSY, eph_subscription_free(sub));
    OK(eph_event_release(&event));
    OK(eph_publisher_loan(pub, 10, &loan));
    OK(eph_loan_discard(&loan));
    OK(eph_loan_discard(&loan));
    EXPECT(EPH_ETIMEDOUT, eph_subscription_take(sub, EPH_NOW, &event));
    OK(eph_publisher_free(pub));
    OK(eph_subscription_free(sub));
}

/* Loops that need no release. */
static void loops(void) {
    eph_subscription_t *sub, *other;
    eph_publisher_t *pub;
    eph_event_t event = {0}, copy;
    char sent, seen = 0;

    OK(eph_subscribe_z(b, "loop", NULL, &sub));
    OK(eph_subscribe_z(b, "loop", NULL, &other));
    OK(eph_publisher_open_z(a, "loop", 7, &pub));
    for (sent = 0; sent < 3; sent++) {
        OK(eph_publish(pub, &sent, 1, SECOND, NULL));
    }
    while (seen < 3) {
        OK(eph_subscription_next(sub, SECOND, &event));
        CHECK(*(const char *)event.data == seen++);
        CHECK(eph_event_is(&event, 7, 1) && !eph_event_is(&event, 8, 1));
        CHECK(!eph_event_is(&event, 7, 2));
    }
    EXPECT(EPH_EBUSY, eph_subscription_free(sub));
    copy = event;
    EXPECT(EPH_ETIMEDOUT, eph_subscription_next(sub, EPH_NOW, &event));
    CHECK(event.handle == 0 && event.data == NULL && event.len == 0);
    EXPECT(EPH_ETIMEDOUT, eph_subscription_next(sub, EPH_NOW, &event));
    EXPECT(EPH_EHANDLE, eph_subscription_next(sub, EPH_NOW, &copy));
    EXPECT(EPH_EINVAL, eph_subscription_next(sub, EPH_NOW, NULL));
    EXPECT(EPH_EINVAL, eph_subscription_next(sub, -2, &event));

    /* What another has given is given back to that. */
    OK(eph_publish(pub, "x", 1, SECOND, NULL));
    OK(eph_subscription_take(other, SECOND, &event));
    OK(eph_subscription_next(sub, SECOND, &event));
    CHECK(*(const char *)event.data == 'x');
    OK(eph_subscription_take(other, SECOND, &copy));
    OK(eph_event_release(&copy));
    EXPECT(EPH_EHANDLE, eph_hub_next((eph_hub_t *)sub, EPH_NOW, &event));
    EXPECT(EPH_ETIMEDOUT, eph_hub_next(b, EPH_NOW, &event));
    OK(eph_subscription_free(sub));
    OK(eph_subscription_free(other));
    OK(eph_publisher_free(pub));
}

static void write_numbers(void *user, void *data, size_t len) {
    memset(data, *(const int *)user, len);
}

static void extensions(void) {
    eph_subscription_t *sub;
    eph_publisher_t *pub;
    eph_event_t event;
    eph_event_details_t details;
    eph_extension_t extension;
    eph_pair_t pairs[2] = {{"trace", 5, "4bf92f35", 8}, {"", 0, "empty", 5}}, pair;
    int byte = 9;

    OK(eph_subscribe_z(b, "extended", NULL, &sub));
    OK(eph_publisher_open_z(a, "extended", EPH_RAW, &pub));
    eph_extension_init(&extension);
    extension.reply_subject = "answers.here";
    extension.reply_subject_len = 12;
    extension.metadata = pairs;
    extension.metadata_count = 2;
    extension.correlation = 77;
    extension.deadline_ns = 60 * SECOND;
    extension.attempts = 3;
    extension.priority = 200;
    OK(eph_publish_with(pub, "x", 1, &extension, SECOND, NULL));
    OK(eph_subscription_take(sub, SECOND, &event));
    eph_event_details_init(&details);
    OK(eph_event_details(&event, &details));
    CHECK(details.source_id != 0 && details.destination == 0 && details.correlation == 77);
    CHECK(details.timestamp_ns != 0);
    CHECK(details.deadline_ns > details.timestamp_ns + 59 * (uint64_t)SECOND);
    CHECK(details.deadline_ns < details.timestamp_ns + 61 * (uint64_t)SECOND);
    CHECK(details.reply_subject_len == 12 && memcmp(details.reply_subject, "answers.here", 12) == 0);
    CHECK(details.attempts == 3 && details.priority == 200 && details.metadata_count == 2);
    OK(eph_event_metadata(&event, 0, &pair));
    CHECK(pair.name_len == 5 && memcmp(pair.name, "trace", 5) == 0 && pair.value_len == 8);
    EXPECT(EPH_EINVAL, eph_event_metadata(&event, 2, &pair));
    CHECK(pair.name == NULL);
    OK(eph_event_release(&event));

    OK(eph_publish_with(pub, "y", 1, NULL, SECOND, NULL));
    OK(eph_subscription_take(sub, SECOND, &event));
    OK(eph_event_release(&event));
    OK(eph_publish_written(pub, 100, write_numbers, &byte, SECOND, NULL));
    OK(eph_subscription_take(sub, SECOND, &event));
    CHECK(event.len == 100 && ((const char *)event.data)[99] == 9);
    OK(eph_event_release(&event));
    OK(eph_publisher_free(pub));
    OK(eph_subscription_free(sub));
}

struct seen {
    int events, dropped;
};

static void on_event(void *user, eph_event_t *event) {
    ((struct seen *)user)->events++;
    if (event->len == 2) {
        OK(eph_event_release(event));
    }
}

static void on_drop(void *user) { ((struct seen *)user)->dropped++; }

static eph_subscription_t *ending;

/* Ends what it is called for, which is not over before it returns. */
static void on_last(void *user, eph_event_t *event) {
    OK(eph_event_release(event));
    OK(eph_subscription_free(ending));
    CHECK(((struct seen *)user)->dropped == 0);
    ((struct seen *)user)->events++;
}

static void freed_while_called(void) {
    eph_publisher_t *pub;
    struct seen seen = {0, 0};
    size_t count;
    int i;

    OK(eph_subscribe_z(b, "last", NULL, &ending));
    OK(eph_publisher_open_z(a, "last", EPH_RAW, &pub));
    OK(eph_subscription_on_event(ending, on_last, &seen, on_drop));
    for (i = 0; i < 3; i++) {
        OK(eph_publish(pub, "x", 1, EPH_NOW, NULL));
    }
    OK(eph_subscription_dispatch(ending, SECOND, 3, &count));
    CHECK(count == 1 && seen.events == 1 && seen.dropped == 1);
    EXPECT(EPH_EHANDLE, eph_subscription_dispatch(ending, SECOND, 3, &count));
    OK(eph_publisher_free(pub));
}

static void waiting(void) {
    eph_subscription_t *sub;
    eph_publisher_t *pub;
    eph_event_t event;
    struct pollfd poll_fd;
    struct seen seen = {0, 0};
    size_t count;
    int armed, fd;

    OK(eph_subscribe_z(b, "waited.for", NULL, &sub));
    OK(eph_publisher_open_z(a, "waited.for", EPH_RAW, &pub));
    OK(eph_subscription_fd(sub, &fd));
    do {
        EXPECT(EPH_ETIMEDOUT, eph_subscription_take(sub, EPH_NOW, &event));
        OK(eph_subscription_arm(sub, &armed));
    } while (!armed);
    OK(eph_publish(pub, "x", 1, EPH_NOW, NULL));
    poll_fd.fd = fd;
    poll_fd.events = POLLIN;
    CHECK(poll(&poll_fd, 1, 10000) == 1);
    OK(eph_subscription_take(sub, SECOND, &event)); /* it may have been woken to learn of its source */
    OK(eph_event_release(&event));

    EXPECT(EPH_EINVAL, eph_subscription_dispatch(sub, EPH_NOW, 10, &count));
    OK(eph_subscription_on_event(sub, on_event, &seen, on_drop));
    OK(eph_publish(pub, "x", 1, EPH_NOW, NULL));
    OK(eph_publish(pub, "xy", 2, EPH_NOW, NULL));
    OK(eph_publish(pub, "xyz", 3, EPH_NOW, NULL));
    OK(eph_subscription_dispatch(sub, SECOND, 2, &count));
    CHECK(count == 2 && seen.events == 2);
    OK(eph_subscription_dispatch(sub, SECOND, 2, &count));
    CHECK(count == 1 && seen.events == 3);
    EXPECT(EPH_ETIMEDOUT, eph_subscription_dispatch(sub, EPH_NOW, 2, &count));
    CHECK(count == 0 && seen.dropped == 0);
    OK(eph_subscription_on_event(sub, on_event, &seen, on_drop));
    CHECK(seen.dropped == 1);
    OK(eph_subscription_free(sub));
    CHECK(seen.dropped == 2);
    OK(eph_publisher_free(pub));
}

static void linking(void) {
    eph_link_t *link, *back;
    eph_link_state_t state;
    eph_event_t event;
    eph_loan_t loan;
    eph_link_info_t links[4];
    size_t count;
    int unlinked, armed, fd;

    EXPECT(EPH_ETIMEDOUT, eph_link_accept(b, EPH_NOW, &back));
    OK(eph_link_to_z(a, "b", NULL, &link));
    OK(eph_link_accept(b, SECOND, &back));
    eph_link_state_init(&state);
    OK(eph_link_state(link, &state));
    CHECK(strcmp(state.peer, "b") == 0 && state.is_open && state.capacity == 65536);
    CHECK(state.max_payload == 32736);
    OK(eph_hub_links(a, links, 4, &count));
    CHECK(count == 1 && strcmp(links[0].opener, "a") == 0 && links[0].id == state.id);
    OK(eph_link_send(link, 5, "ping", 4, EPH_FOREVER));
    OK(eph_hub_take(b, SECOND, &event));
    CHECK(event.len == 4 && memcmp(event.data, "ping", 4) == 0 && event.schema == 5);
    CHECK(event.subject == NULL && event.source[0] == 'a' && event.link == state.id);
    EXPECT(EPH_EBUSY, eph_hub_free(b));
    OK(eph_link_send(back, EPH_RAW, event.data, event.len, EPH_FOREVER));
    OK(eph_event_release(&event));
    OK(eph_hub_take(a, SECOND, &event));
    CHECK(event.source[0] == 'b' && event.len == 4);
    OK(eph_event_release(&event));
    OK(eph_link_loan(link, 6, 5000, EPH_NOW, &loan));
    EXPECT(EPH_EBUSY, eph_link_send(link, 5, "x", 1, EPH_NOW));
    memset(loan.data, 'm', loan.len);
    OK(eph_loan_send(&loan, 4999, EPH_NOW, NULL));
    OK(eph_hub_take(b, SECOND, &event));
    CHECK(event.len == 4999 && event.schema == 6 && ((const char *)event.data)[4998] == 'm');
    OK(eph_event_release(&event));
    OK(eph_hub_fd(b, &fd));
    OK(eph_hub_arm(b, &armed));
    EXPECT(EPH_ETOOLARGE, eph_link_send(link, 5, &event, 32737, EPH_NOW));
    OK(eph_hub_unlink_z(a, "b", &unlinked));
    CHECK(unlinked == 1);
    EXPECT(EPH_ELINKCLOSED, eph_hub_take(b, SECOND, &event));
    CHECK(eph_last_link() == state.id);
    EXPECT(EPH_ELINKCLOSED, eph_link_send(link, 5, "x", 1, EPH_NOW));
    OK(eph_link_free(link));
    OK(eph_link_free(back));
}

static void directory(void) {
    eph_hub_info_t hubs[2], info;
    eph_subject_info_t subjects[1];
    eph_counter_t counters[100];
    size_t count;
    uint64_t id;

    OK(eph_hub_list(a, hubs, 2, &count));
    CHECK(count == 2 && strcmp(hubs[0].name, "a") == 0 && strcmp(hubs[1].name, "b") == 0);
    OK(eph_hub_list(a, NULL, 0, &count));
    CHECK(count == 2);
    OK(eph_hub_id(a, &id));
    CHECK(id == hubs[0].id);
    OK(eph_hub_wait_for_z(a, "b", SECOND, &info));
    CHECK(info.id == hubs[1].id);
    EXPECT(EPH_ETIMEDOUT, eph_hub_wait_for_z(a, "nobody", SECOND / 1000, NULL));
    OK(eph_hub_subjects(a, subjects, 1, &count));
    CHECK(count > 1 && strcmp(subjects[0].subject, "ephapse.") > 0);
    OK(eph_hub_counters(a, counters, 100, &count));
    CHECK(count > 5 && counters[0].label[0] != 0);
}

int main(int argc, char **argv) {
    uint64_t schema;
    eph_event_t event;
    eph_closer_t *closer;

    CHECK(argc == 2);
    CHECK(eph_version() == EPH_VERSION && eph_abi() == EPH_ABI);
    OK(eph_schema_z("robot.Pose", 2, "Pose{stamp_ns:u64,position:[f64;3],heading:f32}", &schema));
    CHECK(schema != 0);
    OK(eph_schema_z("x", 1, "Pose{kind:enum Kind{A,B=2},x:f64}", &schema));
    EXPECT(EPH_EINVAL, eph_schema_z("x", 1, "Pose{kind:enum Kind{A, B=2},x:f64}", &schema));
    EXPECT(EPH_EINVAL, eph_schema_z("x", 1, "Pose{my_enum :f64}", &schema));
    EXPECT(EPH_EINVAL, eph_schema_z("x", 1, "Pose{x: f64}", &schema));
    CHECK(schema == 0);
    OK(eph_supervisor_start_z(argv[1], &supervisor));
    a = open_hub(argv[1], "a");
    b = open_hub(argv[1], "b");
    publishing();
    loops();
    extensions();
    waiting();
    freed_while_called();
    linking();
    directory();
    OK(eph_hub_closer(a, &closer));
    OK(eph_closer_close(closer));
    EXPECT(EPH_ECLOSED, eph_hub_take(a, EPH_FOREVER, &event));
    OK(eph_closer_free(closer));
    OK(eph_hub_free(a));
    OK(eph_hub_free(b));
    OK(eph_supervisor_free(supervisor));
    return 0;
}
