/* Errors that a caller can make happen, each by its number: errors DIRECTORY. */
#include "check.h"
#include <pthread.h>
#include <sys/stat.h>

static char directory[512];
static eph_hub_t *a, *b;

static void versions_and_directories(void) {
    eph_supervisor_t *supervisor = (eph_supervisor_t *)1;
    eph_hub_t *hub = (eph_hub_t *)1;
    eph_hub_options_t options;
    struct {
        eph_hub_options_t known;
        uint64_t unknown;
    } later;
    char other[600];

    EXPECT(EPH_EABI, eph_supervisor_start(EPH_ABI + 1, directory, strlen(directory), &supervisor));
    CHECK(supervisor == NULL);
    EXPECT(EPH_EABI, eph_hub_open(EPH_ABI + 1, "x", 1, NULL, &hub));
    CHECK(hub == NULL);
    memset(&later, 0, sizeof later);
    eph_hub_options_init(&later.known);
    later.known.directory = directory;
    later.known.directory_len = strlen(directory);
    later.known.size = sizeof later;
    OK(eph_hub_open_z("later", &later.known, &hub));
    OK(eph_hub_free(hub));
    later.unknown = 1;
    EXPECT(EPH_EABI, eph_hub_open_z("later", &later.known, &hub));

    EXPECT(EPH_ERUNNING, eph_supervisor_start_z(directory, &supervisor));
    eph_hub_options_init(&options);
    snprintf(other, sizeof other, "%s-none", directory);
    options.directory = other;
    options.directory_len = strlen(other);
    EXPECT(EPH_ENOSUPERVISOR, eph_hub_open_z("x", &options, &hub));
    CHECK(strstr(eph_last_error_message(), other) != NULL);
    CHECK(mkdir(other, 0700) == 0 && chmod(other, 0755) == 0);
    EXPECT(EPH_EOPENDIR, eph_supervisor_start_z(other, &supervisor));
    EXPECT(EPH_EOPENDIR, eph_hub_open_z("x", &options, &hub));
    CHECK(rmdir(other) == 0);
    memset(other, 'd', 300);
    EXPECT(EPH_EDIRECTORY, eph_supervisor_start(EPH_ABI, other, 300, &supervisor));
    options.directory_len = 300;
    EXPECT(EPH_EDIRECTORY, eph_hub_open_z("x", &options, &hub));
    snprintf(other, sizeof other, "/"); /* root's */
    if (geteuid() == 0) {
        snprintf(other, sizeof other, "%s-foreign", directory);
        CHECK(mkdir(other, 0700) == 0 && chown(other, 12345, 12345) == 0);
    }
    EXPECT(EPH_EFOREIGNDIR, eph_supervisor_start_z(other, &supervisor));
    options.directory_len = strlen(other);
    EXPECT(EPH_EFOREIGNDIR, eph_hub_open_z("x", &options, &hub));
    CHECK(geteuid() != 0 || rmdir(other) == 0);
}

static void arguments(void) {
    eph_hub_options_t options;
    eph_hub_t *hub;
    eph_subscription_options_t flow;
    eph_subscription_t *sub;
    eph_publisher_t *pub;
    eph_event_t event;
    eph_event_details_t details;
    uint64_t words[4] = {0, 0, 0, 0};

    EXPECT(EPH_EINVAL, eph_hub_open_z("x", NULL, NULL));
    EXPECT(EPH_EINVAL, eph_hub_open(EPH_ABI, NULL, 4, NULL, &hub));
    EXPECT(EPH_EINVAL, eph_hub_open(EPH_ABI, "\xff\xfe", 2, NULL, &hub));
    EXPECT(EPH_EINVAL, eph_hub_open(EPH_ABI, "x", (size_t)-1, NULL, &hub));
    memset(&options, 0, sizeof options);
    EXPECT(EPH_EINVAL, eph_hub_open_z("x", &options, &hub));
    eph_hub_options_init(&options);
    options.wait = 9;
    EXPECT(EPH_EINVAL, eph_hub_open_z("x", &options, &hub));
    EXPECT(EPH_ENAME, eph_hub_wait_for_z(a, "no blanks", SECOND, NULL));
    EXPECT(EPH_EINVAL, eph_hub_take(a, -2, &event));
    EXPECT(EPH_EINVAL, eph_hub_take(a, EPH_NOW, NULL));
    EXPECT(EPH_EINVAL, eph_hub_id(a, (uint64_t *)((char *)words + 1)));
    eph_subscription_options_init(&flow);
    flow.flow = 7;
    EXPECT(EPH_EINVAL, eph_subscribe_z(a, "x", &flow, &sub));
    EXPECT(EPH_ESUBJECT, eph_subscribe_z(a, "", NULL, &sub));
    EXPECT(EPH_ESUBJECT, eph_subscribe_z(a, "a..b", NULL, &sub));
    EXPECT(EPH_ESUBJECT, eph_publisher_open_z(a, "pattern.*", EPH_RAW, &pub));
    memset(&event, 0, sizeof event);
    eph_event_details_init(&details);
    EXPECT(EPH_EINVAL, eph_event_details(&event, &details));
    EXPECT(EPH_EINVAL, eph_publish_written(NULL, 1, NULL, NULL, EPH_NOW, NULL));
}

static void handles(void) {
    eph_subscription_t *sub, *old;
    eph_publisher_t *pub;
    eph_event_t event, copy;
    eph_loan_t loan, loan_copy;
    char memory[64];
    uint64_t id;

    EXPECT(EPH_EINVAL, eph_hub_id(NULL, &id));
    EXPECT(EPH_EHANDLE, eph_hub_id((eph_hub_t *)(void *)memory, &id));
    EXPECT(EPH_EHANDLE, eph_hub_id((eph_hub_t *)((uintptr_t)a + 1), &id));
    EXPECT(EPH_EHANDLE, eph_hub_id((eph_hub_t *)((uintptr_t)a ^ (UINT64_C(1) << 40)), &id));
    EXPECT(EPH_EHANDLE, eph_hub_id((eph_hub_t *)((uintptr_t)a + (UINT64_C(60000) << 12)), &id));
    EXPECT(EPH_EHANDLE, eph_publisher_free((eph_publisher_t *)a));
    OK(eph_subscribe_z(b, "handles", NULL, &sub));
    old = sub;
    OK(eph_subscription_free(sub));
    EXPECT(EPH_EHANDLE, eph_subscription_take(old, EPH_NOW, &event));
    EXPECT(EPH_EHANDLE, eph_subscription_free(old));
    OK(eph_subscribe_z(b, "handles", NULL, &sub));
    EXPECT(EPH_EHANDLE, eph_subscription_take(old, EPH_NOW, &event));
    OK(eph_publisher_open_z(a, "handles", EPH_RAW, &pub));
    OK(eph_publish(pub, "1", 1, SECOND, NULL));
    OK(eph_publish(pub, "2", 1, SECOND, NULL));
    OK(eph_subscription_take(sub, SECOND, &event));
    copy = event;
    OK(eph_event_release(&event));
    EXPECT(EPH_EHANDLE, eph_event_release(&copy));
    copy = event;
    OK(eph_subscription_take(sub, SECOND, &event));
    copy = event;
    copy.handle -= UINT64_C(1) << 32;
    EXPECT(EPH_EHANDLE, eph_event_release(&copy));
    EXPECT(EPH_EBUSY, eph_subscription_take(sub, EPH_NOW, &copy));
    EXPECT(EPH_ESCHEMA, eph_event_check(&event, 1, 1));
    EXPECT(EPH_EPAYLOAD, eph_event_check(&event, EPH_RAW, 2));
    OK(eph_event_release(&event));
    OK(eph_publisher_loan(pub, 1, &loan));
    loan_copy = loan;
    OK(eph_loan_discard(&loan));
    EXPECT(EPH_EHANDLE, eph_loan_send(&loan_copy, 1, EPH_NOW, NULL));
    EXPECT(EPH_EINVAL, eph_loan_send(&loan, 1, EPH_NOW, NULL));
    OK(eph_publisher_free(pub));
    OK(eph_subscription_free(sub));
    OK(eph_hub_free(NULL));
    OK(eph_event_release(NULL));
}

static void hubs_and_links(void) {
    eph_hub_t *hub;
    eph_hub_options_t options;
    eph_link_t *link, *second;
    eph_event_t event;
    eph_link_options_t small;
    char bytes[5000];
    int i, code = 0;

    eph_hub_options_init(&options);
    options.directory = directory;
    options.directory_len = strlen(directory);
    EXPECT(EPH_ENAMETAKEN, eph_hub_open_z("a", &options, &hub));
    EXPECT(EPH_ENAME, eph_hub_open_z("no blanks", &options, &hub));
    EXPECT(EPH_ENOHUB, eph_link_to_z(a, "nobody", NULL, &link));
    EXPECT(EPH_ESAMEHUB, eph_link_to_z(a, "a", NULL, &link));
    eph_link_options_init(&small);
    small.send_capacity = 4096;
    hub = open_hub(directory, "linked");
    OK(eph_link_to_z(a, "linked", &small, &link));
    EXPECT(EPH_ELINKED, eph_link_to_z(a, "linked", NULL, &second));
    memset(bytes, 'b', sizeof bytes);
    EXPECT(EPH_ETOOLARGE, eph_link_send(link, EPH_RAW, bytes, sizeof bytes, EPH_NOW));
    for (i = 0; i < 100 && code == 0; i++) {
        code = eph_link_send(link, EPH_RAW, bytes, 1000, EPH_NOW);
    }
    EXPECT(EPH_EFULL, code);
    CHECK(strcmp(eph_last_error_message(), eph_strerror(EPH_EFULL)) == 0);
    EXPECT(EPH_EFULL, eph_link_send(link, EPH_RAW, bytes, 1000, SECOND / 1000));
    OK(eph_hub_free(hub));
    code = eph_hub_take(a, 10 * SECOND, &event); /* by whichever is seen first */
    CHECK(code == EPH_ELINKCLOSED || code == EPH_EPEERGONE);
    code = eph_link_send(link, EPH_RAW, bytes, 1, EPH_NOW);
    CHECK(code == EPH_ELINKCLOSED || code == EPH_EPEERGONE);
    OK(eph_link_free(link));
    OK(eph_link_to_z(a, "b", NULL, &link));
    OK(eph_hub_unlink_z(b, "a", NULL));
    EXPECT(EPH_ELINKCLOSED, eph_hub_take(a, 10 * SECOND, &event));
    EXPECT(EPH_ELINKCLOSED, eph_link_send(link, EPH_RAW, bytes, 1, EPH_NOW));
    OK(eph_link_free(link));
    small.send_capacity = 12345;
    EXPECT(EPH_ESEGMENT, eph_link_to_z(a, "b", &small, &link));
    small.send_capacity = UINT64_C(1) << 29;
    EXPECT(EPH_ELIMIT, eph_link_to_z(a, "b", &small, &link));
}

static void bus(void) {
    eph_subscription_t *sub;
    eph_subscription_options_t lossy;
    eph_publisher_t *pub;
    eph_event_t event;
    eph_extension_t extension;
    eph_hub_t *closing;
    char bytes[4000], *large;
    int i;

    EXPECT(EPH_ENORESPONDERS, eph_request_z(a, "nobody.answers", EPH_RAW, "", 0, SECOND, &event));
    OK(eph_subscribe_z(b, "ignored", NULL, &sub));
    EXPECT(EPH_ETIMEDOUT, eph_request_z(a, "ignored", EPH_RAW, "", 0, SECOND / 100, &event));
    OK(eph_publisher_open_z(a, "ignored", EPH_RAW, &pub));
    OK(eph_subscription_take(sub, SECOND, &event));
    OK(eph_event_release(&event));
    OK(eph_publish(pub, "x", 1, SECOND, NULL));
    OK(eph_subscription_take(sub, SECOND, &event));
    EXPECT(EPH_ENOTREQUEST, eph_reply(b, &event, EPH_RAW, "", 0, NULL));
    OK(eph_event_release(&event));
    EXPECT(EPH_ENOHUB, eph_emit_to_z(a, "nobody", "ignored", EPH_RAW, "", 0, NULL));
    large = (char *)calloc(1, 1 << 20);
    EXPECT(EPH_ETOOLARGE, eph_publish(pub, large, 1 << 20, SECOND, NULL));
    eph_extension_init(&extension);
    extension.reply_subject = large;
    extension.reply_subject_len = 5000;
    EXPECT(EPH_ETOOLARGE, eph_publish_with(pub, "x", 1, &extension, SECOND, NULL));
    free(large);
    OK(eph_subscription_free(sub));

    eph_subscription_options_init(&lossy);
    lossy.flow = EPH_FLOW_DROP_OLDEST;
    OK(eph_subscribe_z(b, "ignored", &lossy, &sub));
    memset(bytes, 'x', sizeof bytes);
    for (i = 0; i < 1000; i++) {
        OK(eph_publish(pub, bytes, sizeof bytes, SECOND, NULL));
    }
    /* Overtaken, it goes on at the end; how much it has missed is seen from the next event. */
    i = eph_subscription_take(sub, EPH_NOW, &event);
    if (i == EPH_ETIMEDOUT) {
        OK(eph_publish(pub, "last", 4, SECOND, NULL));
        i = eph_subscription_take(sub, SECOND, &event);
    }
    EXPECT(EPH_ELAGGED, i);
    CHECK(eph_last_missed() > 800 && eph_last_missed() <= 1010);
    OK(eph_subscription_take(sub, EPH_NOW, &event));
    OK(eph_event_release(&event));
    OK(eph_subscription_free(sub));
    OK(eph_publisher_free(pub));

    closing = open_hub(directory, "closing");
    OK(eph_subscribe_z(closing, "x", NULL, &sub));
    OK(eph_publisher_open_z(closing, "x", EPH_RAW, &pub));
    OK(eph_hub_free(closing));
    EXPECT(EPH_ECLOSED, eph_subscription_take(sub, EPH_FOREVER, &event));
    EXPECT(EPH_ECLOSED, eph_publish(pub, "x", 1, EPH_FOREVER, NULL));
    OK(eph_subscription_free(sub));
    OK(eph_publisher_free(pub));
}

static void limits(void) {
    enum { HANDLES = 65536 };
    eph_closer_t **closers = (eph_closer_t **)calloc(HANDLES, sizeof *closers);
    int count = 0, i, code;

    while ((code = eph_hub_closer(a, &closers[count])) == 0) {
        CHECK(++count < HANDLES);
    }
    EXPECT(EPH_ELIMIT, code);
    for (i = 0; i < count; i++) {
        OK(eph_closer_free(closers[i]));
    }
    free(closers);
}

int main(int argc, char **argv) {
    eph_supervisor_t *supervisor;
    size_t count;

    CHECK(argc == 2);
    snprintf(directory, sizeof directory, "%s", argv[1]);
    CHECK(strstr(eph_last_error_message(), "no call") != NULL);
    CHECK(strcmp(eph_strerror(EPH_EFULL), eph_strerror(EPH_EINVAL)) != 0);
    CHECK(strcmp(eph_strerror(1), eph_strerror(-1000)) == 0);
    OK(eph_supervisor_start_z(directory, &supervisor));
    a = open_hub(directory, "a");
    b = open_hub(directory, "b");
    versions_and_directories();
    arguments();
    handles();
    hubs_and_links();
    bus();
    limits();
    OK(eph_supervisor_free(supervisor));
    EXPECT(EPH_EDISCONNECTED, eph_hub_list(a, NULL, 0, &count));
    OK(eph_hub_free(a));
    OK(eph_hub_free(b));
    return 0;
}
