#include "simdjson_yardstick.h"

#include <simdjson.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

namespace ondemand = simdjson::ondemand;

struct Event {
    std::string_view auditID, stage, verb, requestURI, user, pod, podUID, impersonatedUser, userAgent;
    std::string_view resource, namespaceName, name, apiGroup, subresource, decision, reason, received;
    int64_t code = 0;
};

struct Count {
    long requests = 0;
    std::string first, last;
};

std::string_view text(ondemand::value value) { return value.get_string().value(); }

std::string_view first_text(ondemand::value value) {
    std::string_view first;
    for (auto element : value.get_array()) {
        if (first.empty()) first = element.get_string().value();
    }
    return first;
}

/// Calls `member` with the key and the value of each member.
template <typename Member> void each(ondemand::value value, Member member) {
    for (auto field : value.get_object()) member(field.key().value(), field.value().value());
}

void read_user(ondemand::value value, Event &event) {
    each(value, [&](ondemand::raw_json_string key, ondemand::value value) {
        if (key.unsafe_is_equal("username")) event.user = text(value);
        else if (key.unsafe_is_equal("extra")) {
            each(value, [&](ondemand::raw_json_string key, ondemand::value value) {
                if (key.unsafe_is_equal("authentication.kubernetes.io/pod-name")) event.pod = first_text(value);
                else if (key.unsafe_is_equal("authentication.kubernetes.io/pod-uid")) event.podUID = first_text(value);
            });
        }
    });
}

void read_reference(ondemand::value value, Event &event) {
    each(value, [&](ondemand::raw_json_string key, ondemand::value value) {
        if (key.unsafe_is_equal("resource")) event.resource = text(value);
        else if (key.unsafe_is_equal("namespace")) event.namespaceName = text(value);
        else if (key.unsafe_is_equal("name")) event.name = text(value);
        else if (key.unsafe_is_equal("apiGroup")) event.apiGroup = text(value);
        else if (key.unsafe_is_equal("subresource")) event.subresource = text(value);
    });
}

void read_member(ondemand::raw_json_string key, ondemand::value value, Event &event) {
    if (key.unsafe_is_equal("auditID")) event.auditID = text(value);
    else if (key.unsafe_is_equal("stage")) event.stage = text(value);
    else if (key.unsafe_is_equal("verb")) event.verb = text(value);
    else if (key.unsafe_is_equal("requestURI")) event.requestURI = text(value);
    else if (key.unsafe_is_equal("userAgent")) event.userAgent = text(value);
    else if (key.unsafe_is_equal("requestReceivedTimestamp")) event.received = text(value);
    else if (key.unsafe_is_equal("user")) read_user(value, event);
    else if (key.unsafe_is_equal("objectRef")) read_reference(value, event);
    else if (key.unsafe_is_equal("impersonatedUser")) {
        each(value, [&](ondemand::raw_json_string key, ondemand::value value) {
            if (key.unsafe_is_equal("username")) event.impersonatedUser = text(value);
        });
    } else if (key.unsafe_is_equal("responseStatus")) {
        each(value, [&](ondemand::raw_json_string key, ondemand::value value) {
            if (key.unsafe_is_equal("code")) event.code = value.get_int64().value();
        });
    } else if (key.unsafe_is_equal("annotations")) {
        each(value, [&](ondemand::raw_json_string key, ondemand::value value) {
            if (key.unsafe_is_equal("authorization.k8s.io/decision")) event.decision = text(value);
            else if (key.unsafe_is_equal("authorization.k8s.io/reason")) event.reason = text(value);
        });
    }
}

class Folding {
public:
    void add(const Event &event) {
        if (event.stage != "ResponseComplete") return;
        key.clear();
        // The path tells nothing that the reference does not.
        auto path = event.resource.empty() ? event.requestURI.substr(0, event.requestURI.find('?')) : std::string_view();
        for (auto part : {event.user, event.pod, event.podUID, event.impersonatedUser, event.userAgent, event.verb, event.resource,
                          event.namespaceName, event.name, event.apiGroup, event.subresource, event.decision, event.reason, path}) {
            key.append(part);
            key.push_back('\0');
        }
        key.push_back(static_cast<char>(event.code / 100));
        Count &count = counts[key];
        count.requests += 1;
        if (count.first.empty() || event.received < count.first) count.first = event.received;
        if (event.received > count.last) count.last = event.received;
    }

private:
    std::string key;
    std::unordered_map<std::string, Count> counts;
};

/// Without SIMDJSON_THREADS_ENABLED, so that it is one core against one.
long fold(ondemand::parser &parser, const char *lines, size_t count, Folding &folding) {
    long events = 0;
    ondemand::document_stream documents = parser.iterate_many(lines, count, ondemand::DEFAULT_BATCH_SIZE).value();
    for (auto document : documents) {
        Event event;
        for (auto field : document.get_object()) read_member(field.key().value(), field.value().value(), event);
        folding.add(event);
        events += 1;
    }
    return events;
}

} // namespace

long simdjson_fold(const char *path) {
    std::FILE *file = std::fopen(path, "rb");
    if (file == nullptr) return -1;
    // Pieces of whole lines: a log that is larger than a cache is not held.
    const size_t size = 4 << 20;
    std::vector<char> piece(size + simdjson::SIMDJSON_PADDING);
    ondemand::parser parser;
    Folding folding;
    long events = 0;
    size_t held = 0;
    try {
        while (size_t got = std::fread(piece.data() + held, 1, size - held, file)) {
            held += got;
            size_t lines = std::string_view(piece.data(), held).rfind('\n') + 1;
            if (lines == 0) continue;
            events += fold(parser, piece.data(), lines, folding);
            held -= lines;
            std::memmove(piece.data(), piece.data() + lines, held);
        }
    } catch (const simdjson::simdjson_error &) {
        events = -1;
    }
    std::fclose(file);
    return events;
}
