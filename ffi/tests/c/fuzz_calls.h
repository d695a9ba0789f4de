/* A call of each function of the header, with arguments that are made up; part of fuzz.c. */

#define CALL(name) static int call_##name(void)

CALL(eph_version) { return eph_version() == EPH_VERSION ? 0 : EPH_EINTERNAL; }

CALL(eph_abi) { return eph_abi() == EPH_ABI ? 0 : EPH_EINTERNAL; }

CALL(eph_strerror) { return eph_strerror((int)next_random()) != NULL ? 0 : EPH_EINTERNAL; }

CALL(eph_last_error_message) {
    return strlen(eph_last_error_message()) > 0 ? 0 : EPH_EINTERNAL;
}

CALL(eph_last_missed) { return eph_last_missed() > 0 ? 0 : 0; }

CALL(eph_last_link) { return eph_last_link() > 0 ? 0 : 0; }

CALL(eph_schema) {
    struct text name = any_name(), layout = any_subject();
    uint64_t schema;
    return eph_schema(name.at, name.len, (uint32_t)next_random(), layout.at, layout.len, &schema);
}

CALL(eph_supervisor_start) {
    eph_supervisor_t *supervisor;
    int code = eph_supervisor_start_z(directories[below(2)], &supervisor);
    return keep(SUPERVISOR, supervisor, code);
}

CALL(eph_supervisor_free) { return free_any(SUPERVISOR); }

CALL(eph_hub_open) {
    union options options;
    struct text name = any_name();
    eph_hub_t *hub;
    int code;

    memset(&options, 0, sizeof options);
    options.hub.size = any_struct_size(sizeof options.hub);
    options.hub.directory = directories[below(4) == 0];
    options.hub.directory_len = strlen(directories[0]);
    options.hub.wait = any_choice();
    options.hub.timestamps = any_choice();
    options.hub.spin_ns = any_timeout();
    options.hub.embedded_supervisor = any_choice();
    options.hub.payloads = any_choice();
    options.hub.largest_ring = any_size();
    options.hub.broadcast_capacity = any_size();
    options.hub.patience_ns = below(16) ? SECOND / 1000 : any_timeout();
    options.hub.links_for = any_choice();
    if (below(8)) { /* no domain but ours */
        code = eph_hub_open(EPH_ABI + (below(64) == 0), name.at, name.len, &options.hub, &hub);
    } else {
        code = eph_hub_open_z(any_name().at, &options.hub, &hub);
    }
    return keep(HUB, hub, code);
}

/* Not of one of the first, which go on. */
CALL(eph_hub_free) {
    return free_it(HUB, below(8) ? any(LINK) : kept(HUB));
}

CALL(eph_hub_id) {
    uint64_t id[2];
    return eph_hub_id(any_hub(), (uint64_t *)((char *)id + (below(32) == 0)));
}

CALL(eph_hub_closer) {
    eph_closer_t *closer;
    int code = eph_hub_closer(any_hub(), &closer);
    return keep(CLOSER, closer, code);
}

/* Not those of the first hubs, which go on. */
CALL(eph_closer_close) {
    eph_hub_t *hub = (eph_hub_t *)kept(HUB);
    eph_closer_t *closer;
    int code = eph_hub_closer(hub, &closer);
    if (code == 0) {
        code = eph_closer_close(closer);
        eph_closer_free(closer);
    }
    return below(8) ? code : eph_closer_close((eph_closer_t *)any(PUBLISHER));
}

CALL(eph_closer_free) { return free_any(CLOSER); }

#define LIST(name, type)                                                              \
    CALL(name) {                                                                      \
        size_t count, room = below(8) ? BYTES / sizeof(type) : below(5);              \
        type *infos = below(16) ? (type *)(void *)me()->results : NULL;               \
        return name(any_hub(), infos, room, below(32) ? &count : NULL);               \
    }

LIST(eph_hub_list, eph_hub_info_t)
LIST(eph_hub_links, eph_link_info_t)
LIST(eph_hub_subjects, eph_subject_info_t)
LIST(eph_hub_counters, eph_counter_t)

CALL(eph_hub_wait_for) {
    struct text name = any_name();
    eph_hub_info_t info;
    return eph_hub_wait_for(any_hub(), name.at, name.len, any_timeout(), below(2) ? &info : NULL);
}

CALL(eph_event_release) { return eph_event_release(any_event()); }

CALL(eph_event_details) {
    union options options;
    memset(&options, 0, sizeof options);
    options.details.size = any_struct_size(sizeof options.details);
    return eph_event_details(any_event(), below(32) ? &options.details : NULL);
}

CALL(eph_event_metadata) {
    eph_pair_t pair;
    return eph_event_metadata(any_event(), below(16) ? below(3) : SIZE_MAX, &pair);
}

CALL(eph_event_check) { return eph_event_check(any_event(), below(3), any_len()); }

CALL(eph_publisher_open) {
    struct text subject = any_subject();
    eph_publisher_t *publisher;
    int code = eph_publisher_open(any_hub(), subject.at, subject.len, below(3), &publisher);
    return keep(PUBLISHER, publisher, code);
}

CALL(eph_publisher_free) { return free_any(PUBLISHER); }

CALL(eph_publisher_receivers) {
    uint32_t receivers;
    return eph_publisher_receivers((eph_publisher_t *)any(PUBLISHER), &receivers);
}

CALL(eph_publish) {
    return eph_publish((eph_publisher_t *)any(PUBLISHER), below(32) ? bytes : NULL, any_len(),
                       below(8) ? any_timeout() : EPH_FOREVER, any_sent());
}

static const eph_pair_t PAIRS[] = {{"trace", 5, "4bf92f35", 8}, {"", 0, NULL, 0}, {NULL, 3, "x", 1}};

static const eph_extension_t *any_extension(union options *options) {
    struct text reply = any_subject();
    memset(options, 0, sizeof *options);
    options->extension.size = any_struct_size(sizeof options->extension);
    options->extension.reply_subject = reply.at;
    options->extension.reply_subject_len = reply.len;
    options->extension.metadata = PAIRS;
    options->extension.metadata_count = below(8) ? below(3) : 3;
    options->extension.correlation = next_random();
    options->extension.deadline_ns = any_timeout();
    options->extension.attempts = (uint32_t)next_random();
    options->extension.priority = (uint8_t)next_random();
    return below(4) ? &options->extension : NULL;
}

CALL(eph_publish_with) {
    union options options;
    return eph_publish_with((eph_publisher_t *)any(PUBLISHER), bytes, any_len(),
                            any_extension(&options), any_timeout(), any_sent());
}

CALL(eph_publish_written) {
    return eph_publish_written((eph_publisher_t *)any(PUBLISHER), any_len(),
                               below(32) ? write_bytes : NULL, NULL, any_timeout(), any_sent());
}

CALL(eph_publisher_loan) {
    return eph_publisher_loan((eph_publisher_t *)any(PUBLISHER), any_len(), new_loan());
}

CALL(eph_loan_send) { return eph_loan_send(any_loan(), any_len(), any_timeout(), any_sent()); }

CALL(eph_loan_discard) { return eph_loan_discard(any_loan()); }

CALL(eph_subscribe) {
    union options options;
    struct text patterns = any_pattern();
    eph_subscription_t *subscription;
    int code;

    memset(&options, 0, sizeof options);
    options.subscription.size = any_struct_size(sizeof options.subscription);
    options.subscription.flow = any_choice();
    options.subscription.wait = any_choice();
    options.subscription.spin_ns = any_timeout();
    code = eph_subscribe(any_hub(), patterns.at, patterns.len,
                         below(2) ? &options.subscription : NULL, &subscription);
    return keep(SUBSCRIPTION, subscription, code);
}

static eph_subscription_t *any_sub(void) { return (eph_subscription_t *)any(SUBSCRIPTION); }

CALL(eph_subscription_free) { return free_any(SUBSCRIPTION); }

CALL(eph_subscription_take) {
    eph_event_t *event = new_event();
    int code = eph_subscription_take(any_sub(), any_timeout(), event);
    if (code == 0) {
        answer(event);
        if (below(2)) {
            eph_event_release(event);
        }
    }
    return code;
}

CALL(eph_subscription_next) {
    return eph_subscription_next(any_sub(), any_timeout(), any_event());
}

CALL(eph_receive) {
    size_t len;
    return eph_receive(any_sub(), any_timeout(), me()->results, below(2) ? BYTES : below(100), &len);
}

CALL(eph_subscription_fd) {
    int fd;
    return eph_subscription_fd(any_sub(), &fd);
}

CALL(eph_subscription_arm) {
    int armed;
    return eph_subscription_arm(any_sub(), &armed);
}

/* What the function is given is freed by its drop function, and by nobody else. */
CALL(eph_subscription_on_event) {
    int *user = (int *)malloc(sizeof *user), code;
    *user = 11;
    if (below(8) == 0) {
        free(user);
        return eph_subscription_on_event(any_sub(), NULL, NULL, NULL);
    }
    code = eph_subscription_on_event(any_sub(), on_event, user, on_drop);
    if (code != 0) {
        free(user);
    }
    return code;
}

CALL(eph_subscription_dispatch) {
    size_t count;
    return eph_subscription_dispatch(any_sub(), any_timeout(), below(16) ? below(4) : SIZE_MAX,
                                     &count);
}

CALL(eph_emit_to) {
    union options options;
    struct text to = any_name(), subject = any_subject();
    return eph_emit_to(any_hub(), to.at, to.len, subject.at, subject.len, below(3), bytes, any_len(),
                       any_extension(&options), any_sent());
}

CALL(eph_request) {
    struct text subject = any_subject();
    int64_t timeout = below(4) ? SECOND / 500 : any_timeout();
    return eph_request(any_hub(), subject.at, subject.len, below(3), bytes, any_len(), timeout,
                       new_event());
}

CALL(eph_reply) {
    return eph_reply(any_hub(), any_event(), below(3), bytes, any_len(), any_sent());
}

CALL(eph_link_to) {
    union options options;
    struct text name = any_name();
    eph_link_t *link;
    int code;

    memset(&options, 0, sizeof options);
    options.link.size = any_struct_size(sizeof options.link);
    options.link.send_capacity = any_size();
    options.link.receive_capacity = any_size();
    options.link.timeout_ns = below(8) ? 0 : any_timeout();
    options.link.huge_pages = any_choice();
    code = eph_link_to(any_hub(), name.at, name.len, below(2) ? &options.link : NULL, &link);
    return keep(LINK, link, code);
}

CALL(eph_link_accept) {
    eph_link_t *link;
    int code = eph_link_accept(any_hub(), any_timeout(), &link);
    return keep(LINK, link, code);
}

CALL(eph_link_free) { return free_any(LINK); }

CALL(eph_hub_unlink) {
    struct text name = any_name();
    int unlinked;
    return eph_hub_unlink(any_hub(), name.at, name.len, below(2) ? &unlinked : NULL);
}

CALL(eph_link_state) {
    union options options;
    memset(&options, 0, sizeof options);
    options.state.size = any_struct_size(sizeof options.state);
    return eph_link_state((eph_link_t *)any(LINK), &options.state);
}

CALL(eph_link_send) {
    return eph_link_send((eph_link_t *)any(LINK), below(3), bytes, any_len(), any_timeout());
}

CALL(eph_link_loan) {
    return eph_link_loan((eph_link_t *)any(LINK), below(3), any_len(), any_timeout(), new_loan());
}

CALL(eph_hub_take) { return eph_hub_take(any_hub(), any_timeout(), new_event()); }

CALL(eph_hub_next) { return eph_hub_next(any_hub(), any_timeout(), any_event()); }

CALL(eph_hub_fd) {
    int fd;
    return eph_hub_fd(any_hub(), &fd);
}

CALL(eph_hub_arm) {
    int armed;
    return eph_hub_arm(any_hub(), &armed);
}

/* All functions; a test compares their names with the header. */
#define ENTRY(name) {#name, call_##name}

static const struct {
    const char *name;
    int (*call)(void);
} CALLS[] = {
    ENTRY(eph_version),
    ENTRY(eph_abi),
    ENTRY(eph_strerror),
    ENTRY(eph_last_error_message),
    ENTRY(eph_last_missed),
    ENTRY(eph_last_link),
    ENTRY(eph_schema),
    ENTRY(eph_supervisor_start),
    ENTRY(eph_supervisor_free),
    ENTRY(eph_hub_open),
    ENTRY(eph_hub_free),
    ENTRY(eph_hub_id),
    ENTRY(eph_hub_closer),
    ENTRY(eph_closer_close),
    ENTRY(eph_closer_free),
    ENTRY(eph_hub_list),
    ENTRY(eph_hub_links),
    ENTRY(eph_hub_subjects),
    ENTRY(eph_hub_counters),
    ENTRY(eph_hub_wait_for),
    ENTRY(eph_event_release),
    ENTRY(eph_event_details),
    ENTRY(eph_event_metadata),
    ENTRY(eph_event_check),
    ENTRY(eph_publisher_open),
    ENTRY(eph_publisher_free),
    ENTRY(eph_publisher_receivers),
    ENTRY(eph_publish),
    ENTRY(eph_publish_with),
    ENTRY(eph_publish_written),
    ENTRY(eph_publisher_loan),
    ENTRY(eph_loan_send),
    ENTRY(eph_loan_discard),
    ENTRY(eph_subscribe),
    ENTRY(eph_subscription_free),
    ENTRY(eph_subscription_take),
    ENTRY(eph_subscription_next),
    ENTRY(eph_receive),
    ENTRY(eph_subscription_fd),
    ENTRY(eph_subscription_arm),
    ENTRY(eph_subscription_on_event),
    ENTRY(eph_subscription_dispatch),
    ENTRY(eph_emit_to),
    ENTRY(eph_request),
    ENTRY(eph_reply),
    ENTRY(eph_link_to),
    ENTRY(eph_link_accept),
    ENTRY(eph_link_free),
    ENTRY(eph_hub_unlink),
    ENTRY(eph_link_state),
    ENTRY(eph_link_send),
    ENTRY(eph_link_loan),
    ENTRY(eph_hub_take),
    ENTRY(eph_hub_next),
    ENTRY(eph_hub_fd),
    ENTRY(eph_hub_arm),
};

enum { COUNT = sizeof CALLS / sizeof *CALLS };
