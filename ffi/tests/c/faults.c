/* Errors that others bring about, and the kernel: faults DIRECTORY. In its domain there are the hubs
 * "unwilling", which wants no links, and "dying", whose process ends when it is asked for one. */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static const char *directory;

/* Another process, which has a hub of its own name. */
struct other {
    const char *name;
    void (*play)(eph_hub_t *hub);
    pid_t pid;
    int to, from;
};

/* In the other process: what it does with its hub, when it is asked. */
static int asked, answers;

static void wait_to_be_asked(void) {
    char byte;
    CHECK(read(asked, &byte, 1) == 1);
}

static void answer(void) { CHECK(write(answers, "", 1) == 1); }

/* Starts it, before this process has threads; it does nothing until it is asked. */
static void start(struct other *other) {
    int to[2], from[2];
    pid_t parent = getpid();

    CHECK(pipe(to) == 0 && pipe(from) == 0);
    other->pid = fork();
    CHECK(other->pid >= 0);
    other->to = to[1];
    other->from = from[0];
    if (other->pid != 0) {
        close(to[0]);
        close(from[1]);
        return;
    }
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent);
    asked = to[0];
    answers = from[1];
    wait_to_be_asked();
    other->play(open_hub(directory, other->name));
    for (;;) {
        pause(); /* until it is killed */
    }
}

/* Asks it to do the next thing, and waits until it is done. */
static void ask(const struct other *other) {
    char byte;
    CHECK(write(other->to, "", 1) == 1);
    CHECK(read(other->from, &byte, 1) == 1);
}

static void end(struct other *other) {
    int status;
    CHECK(kill(other->pid, SIGKILL) == 0 && waitpid(other->pid, &status, 0) == other->pid);
    close(other->to);
    close(other->from);
}

/* Fills segments of this name that this process writes, behind their headers, with the words that
 * `word` gives. */
static void scribble(const char *name, size_t header, uint64_t (*word)(size_t at)) {
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    int found = 0;

    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long first, last, offset;
        char access[5], path[256] = "";
        size_t at;
        CHECK(sscanf(line, "%lx-%lx %4s %lx %*s %*s %255s", &first, &last, access, &offset,
                     path) >= 4);
        if (strcmp(path, name) != 0 || access[1] != 'w') {
            continue;
        }
        found = 1;
        for (at = offset == 0 ? header : 0; at < last - first; at += 8) {
            uint64_t *place = (uint64_t *)(uintptr_t)(first + at);
            __atomic_store_n(place, word(at), __ATOMIC_RELEASE);
        }
    }
    fclose(maps);
    CHECK(found);
}

/* A commit word of a kind that there is not, on every line. */
static uint64_t no_record(size_t at) { return at % 64 == 0 ? UINT64_C(0x60000038) : 0; }

/* Links with the hub "a", publishes, and then writes garbage into its rings. */
static void play_vandal(eph_hub_t *hub) {
    eph_link_t *link;
    eph_publisher_t *pub;
    uint32_t receivers = 0;

    OK(eph_link_to_z(hub, "a", NULL, &link));
    OK(eph_publisher_open_z(hub, "garbage", EPH_RAW, &pub));
    OK(eph_publisher_receivers(pub, &receivers));
    CHECK(receivers == 1);
    OK(eph_link_send(link, EPH_RAW, "x", 1, EPH_NOW));
    answer();
    wait_to_be_asked();
    scribble("/memfd:ephapse-ring", 4096, no_record);
    answer();
}

/* A position that no reader can have reached. */
static uint64_t far_ahead(size_t at) {
    (void)at;
    return UINT64_C(1) << 60;
}

/* Says that it has read what was never written. */
static void play_liar(eph_hub_t *hub) {
    eph_link_t *link;
    answer();
    OK(eph_link_accept(hub, 60 * SECOND, &link));
    wait_to_be_asked();
    scribble("/memfd:ephapse-cursors", 64, far_ahead);
    answer();
}

/* Cannot make shared memory. */
static void play_pauper(eph_hub_t *hub) {
    struct rlimit none = {0, 0};
    (void)hub;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &none) == 0);
    answer();
}

/* Does as it is told, and is killed. */
static void play_mortal(eph_hub_t *hub) {
    (void)hub;
    answer();
}

static struct other vandal = {"vandal", play_vandal, 0, 0, 0};
static struct other liar = {"liar", play_liar, 0, 0, 0};
static struct other pauper = {"pauper", play_pauper, 0, 0, 0};
static struct other mortal = {"mortal", play_mortal, 0, 0, 0};

static void linking(eph_hub_t *a) {
    eph_link_t *link;
    eph_event_t event;
    eph_link_options_t wrong;
    int i, code = 0;

    EXPECT(EPH_EDECLINED, eph_link_to_z(a, "unwilling", NULL, &link));
    CHECK(link == NULL);
    EXPECT(EPH_EHUBGONE, eph_link_to_z(a, "dying", NULL, &link));
    ask(&pauper);
    EXPECT(EPH_EREFUSED, eph_link_to_z(a, "pauper", NULL, &link));
    CHECK(strstr(eph_last_error_message(), "pauper") != NULL);
    end(&pauper);
    eph_link_options_init(&wrong);
    wrong.send_capacity = 12345;
    EXPECT(EPH_ESEGMENT, eph_link_to_z(a, "mortal", &wrong, &link));

    ask(&mortal);
    OK(eph_link_to_z(a, "mortal", NULL, &link));
    end(&mortal);
    EXPECT(EPH_EPEERGONE, eph_hub_take(a, 60 * SECOND, &event));
    CHECK(eph_last_link() != 0);
    EXPECT(EPH_EPEERGONE, eph_link_send(link, EPH_RAW, "x", 1, EPH_NOW));
    OK(eph_link_free(link));

    ask(&liar);
    OK(eph_link_to_z(a, "liar", NULL, &link));
    ask(&liar);
    for (i = 0; i < 10000 && code == 0; i++) {
        code = eph_link_send(link, EPH_RAW, "0123456789", 10, EPH_NOW);
    }
    EXPECT(EPH_EPROTOCOL, code);
    end(&liar);
    OK(eph_link_free(link));
    code = eph_hub_take(a, 60 * SECOND, &event);
    CHECK(code == EPH_ELINKCLOSED || code == EPH_EPEERGONE);
}

/* What a hub has written that runs wild: it is told of once, and the others go on. */
static void garbage(eph_hub_t *a) {
    eph_subscription_t *sub;
    eph_link_t *link;
    eph_event_t event;

    OK(eph_subscribe_z(a, "garbage", NULL, &sub));
    ask(&vandal);
    OK(eph_link_accept(a, 60 * SECOND, &link));
    OK(eph_hub_take(a, 60 * SECOND, &event));
    CHECK(event.len == 1);
    OK(eph_event_release(&event));
    ask(&vandal);
    EXPECT(EPH_ECORRUPT, eph_hub_take(a, 60 * SECOND, &event));
    CHECK(eph_last_link() != 0);
    EXPECT(EPH_ETIMEDOUT, eph_hub_take(a, EPH_NOW, &event));
    EXPECT(EPH_ECORRUPT, eph_subscription_take(sub, 60 * SECOND, &event));
    EXPECT(EPH_ETIMEDOUT, eph_subscription_take(sub, EPH_NOW, &event));
    end(&vandal);
    OK(eph_link_free(link));
    OK(eph_subscription_free(sub));
}

/* A supervisor that has 16 bytes to say, whatever it is asked, or nothing. */
struct answerer {
    int door;
    const char *bytes;
};

static void *answer_once(void *what) {
    const struct answerer *answerer = (const struct answerer *)what;
    char question[4096];
    int hub = accept(answerer->door, NULL, NULL);

    CHECK(hub >= 0 && recv(hub, question, sizeof question, 0) > 0);
    if (answerer->bytes != NULL) {
        CHECK(send(hub, answerer->bytes, 16, MSG_NOSIGNAL) == 16);
    }
    close(hub);
    return NULL;
}

static void other_supervisors(void) {
    static const struct {
        int code;
        const char *bytes;
    } SAID[] = {
        {EPH_EVERSION, "EPH:\x02\0\xff\xff\0\0\0\0\0\0\0\0"}, /* an older one, of hubs that are newer */
        {EPH_EPROTOCOL, "not of this kind"},
        {EPH_EDISCONNECTED, NULL},
    };
    char place[200];
    struct sockaddr_un address;
    struct answerer answerer;
    eph_hub_options_t options;
    eph_hub_t *hub;
    pthread_t thread;
    size_t i;

    snprintf(place, sizeof place, "%.190s-other", directory);
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/supervisor.sock", place);
    CHECK(mkdir(place, 0700) == 0);
    answerer.door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(answerer.door, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(answerer.door, 1) == 0);
    eph_hub_options_init(&options);
    options.directory = place;
    options.directory_len = strlen(place);
    for (i = 0; i < sizeof SAID / sizeof *SAID; i++) {
        answerer.bytes = SAID[i].bytes;
        CHECK(pthread_create(&thread, NULL, answer_once, &answerer) == 0);
        switch (SAID[i].code) {
        case EPH_EVERSION:
            EXPECT(EPH_EVERSION, eph_hub_open_z("x", &options, &hub));
            CHECK(strstr(eph_last_error_message(), "version 2") != NULL);
            break;
        case EPH_EPROTOCOL:
            EXPECT(EPH_EPROTOCOL, eph_hub_open_z("x", &options, &hub));
            break;
        default:
            EXPECT(EPH_EDISCONNECTED, eph_hub_open_z("x", &options, &hub));
        }
        CHECK(hub == NULL && pthread_join(thread, NULL) == 0);
    }
    close(answerer.door);
    EXPECT(EPH_ENOSUPERVISOR, eph_hub_open_z("x", &options, &hub));
    CHECK(unlink(address.sun_path) == 0 && rmdir(place) == 0);
}

/* No descriptors are left; when there are some again, all goes on. */
static void no_descriptors(void) {
    struct rlimit usual, none;
    eph_hub_options_t options;
    eph_hub_t *hub;

    CHECK(getrlimit(RLIMIT_NOFILE, &usual) == 0);
    none = usual;
    none.rlim_cur = 0;
    eph_hub_options_init(&options);
    options.directory = directory;
    options.directory_len = strlen(directory);
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    EXPECT(EPH_EKERNEL, eph_hub_open_z("one-more", &options, &hub));
    CHECK(setrlimit(RLIMIT_NOFILE, &usual) == 0);
    CHECK(hub == NULL);
    hub = open_hub(directory, "one-more");
    OK(eph_hub_free(hub));
}

/* Notes what a function has given, whatever that is. */
static void noted(const char *function, int code) {
    if (code != 0) {
        note(code, function);
    }
}

/* Descriptors run out after ever so many; nothing stays behind, and then all goes on. */
static void few_descriptors(eph_hub_t *a) {
    enum { LEFT_MAX = 30 };
    struct rlimit usual, few;
    eph_hub_options_t options;
    eph_supervisor_t *supervisor;
    eph_hub_t *b = open_hub(directory, "few"), *hub;
    eph_subscription_t *sub;
    eph_publisher_t *pub;
    eph_link_t *link;
    eph_event_t event;
    char other[300];
    int left, free_one = dup(0);

    CHECK(free_one > 0 && close(free_one) == 0 && getrlimit(RLIMIT_NOFILE, &usual) == 0);
    snprintf(other, sizeof other, "%.280s-few", directory);
    eph_hub_options_init(&options);
    options.directory = directory;
    options.directory_len = strlen(directory);
    few = usual;
    for (left = 0; left < LEFT_MAX; left++) {
        few.rlim_cur = (rlim_t)(free_one + left);
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        noted("eph_supervisor_start", eph_supervisor_start_z(other, &supervisor));
        noted("eph_hub_open", eph_hub_open_z("many", &options, &hub));
        noted("eph_subscribe", eph_subscribe_z(b, "few.*", NULL, &sub));
        noted("eph_publisher_open", eph_publisher_open_z(a, "few.some", EPH_RAW, &pub));
        noted("eph_link_to", eph_link_to_z(a, "few", NULL, &link));
        CHECK(setrlimit(RLIMIT_NOFILE, &usual) == 0);
        OK(eph_link_free(link));
        OK(eph_publisher_free(pub));
        OK(eph_subscription_free(sub));
        OK(eph_hub_free(hub));
        OK(eph_supervisor_free(supervisor));
        while (eph_hub_take(a, EPH_NOW, &event) != EPH_ETIMEDOUT) {
        }
        OK(eph_hub_unlink_z(b, "a", NULL));
    }
    OK(eph_subscribe_z(b, "few.*", NULL, &sub));
    OK(eph_publisher_open_z(a, "few.last", EPH_RAW, &pub));
    OK(eph_publish(pub, "x", 1, SECOND, NULL));
    OK(eph_subscription_take(sub, 10 * SECOND, &event));
    OK(eph_event_release(&event));
    OK(eph_publisher_free(pub));
    OK(eph_subscription_free(sub));
    OK(eph_hub_free(b));
}

/* A child has no part in what it has inherited. */
static void forked(eph_hub_t *a) {
    uint64_t id;
    int status;

    if (fork_now() == 0) {
        EXPECT(EPH_EFORKED, eph_hub_id(a, &id));
        EXPECT(EPH_EFORKED, eph_hub_free(a));
        raise(SIGKILL); /* valgrind would look for what belongs to threads that are not here */
    }
    CHECK(wait(&status) > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(int argc, char **argv) {
    eph_hub_t *a;

    CHECK(argc == 2);
    directory = argv[1];
    start(&vandal);
    start(&liar);
    start(&pauper);
    start(&mortal);
    a = open_hub(directory, "a");
    linking(a);
    garbage(a);
    other_supervisors();
    no_descriptors();
    few_descriptors(a);
    forked(a);
    OK(eph_hub_free(a));
    return 0;
}
