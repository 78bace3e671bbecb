// HTTP requests over kept connections, several at once in one event loop.
//
// One thread drives all transfers of a call (libcurl's multi interface): for requests of a few
// kilobytes that was measured to be cheaper than a thread each. Proxies come from the environment,
// as curl documents it. Threads: one call at a time for each Http.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace whimbrel::aws {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The first of this name; "" when there is none. Names are compared as they are.
std::string header_of(const Headers& headers, std::string_view name);

struct HttpRequest {
  std::string method = "POST";
  std::string url;
  Headers headers;
  std::string body;
  Milliseconds timeout{60'000};  // of the whole transfer
};

struct HttpResponse {
  int status = 0;
  Headers headers;  // names in lower case
  std::string body;

  // "" when there is no such header; `name` in lower case.
  std::string header(std::string_view name) const { return header_of(headers, name); }
};

class Http {
 public:
  virtual ~Http() = default;
  // All of them at once; an answer each, in the order of the requests. Errors: `unavailable` when
  // the request was never sent, `outcome_unknown` when it was and no whole answer came.
  virtual std::vector<Result<HttpResponse>> send(std::span<const HttpRequest> requests) = 0;
};

struct HttpSettings {
  std::string ca_bundle;  // a file of certificates; "": the system's
  int connections_max = 32;
  Milliseconds connect_timeout{5'000};
};
std::unique_ptr<Http> make_http(HttpSettings settings);

// Kept connections outlive whoever used them: opening one may mean a TLS handshake. Any thread.
class HttpPool {
 public:
  explicit HttpPool(HttpSettings settings);
  // Goes back when it is destroyed, also after the pool itself.
  std::unique_ptr<Http> take() const;

 private:
  struct Idle;
  std::shared_ptr<Idle> idle_;
};

// One request, one answer.
Result<HttpResponse> send_one(Http& http, const HttpRequest& request);

// scheme, host (with a port that is not the scheme's own, without a name and a password) and path
// of a URL.
struct UrlParts {
  std::string scheme;
  std::string host;
  std::string path;   // begins with a slash, as it is in the URL
  std::string query;  // without the question mark
};
UrlParts split_url(std::string_view url);

}  // namespace whimbrel::aws
