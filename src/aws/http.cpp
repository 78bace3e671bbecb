#include "aws/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <mutex>

#include "base/handle.h"
#include "base/text.h"

namespace whimbrel::aws {

namespace {

using CurlEasy = std::unique_ptr<CURL, FreeWith<curl_easy_cleanup>>;
using CurlMulti = std::unique_ptr<CURLM, FreeWith<curl_multi_cleanup>>;
using CurlList = std::unique_ptr<curl_slist, FreeWith<curl_slist_free_all>>;

// A page of DynamoDB's at most; what says more grows as it comes.
constexpr std::size_t room_taken_max = std::size_t{2} << 20;
// What a parser may want behind a body that is there.
constexpr std::size_t read_beyond = 64;
// Of a connection: a page of a megabyte comes in a few reads.
constexpr long receive_bytes = 128L << 10;

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
  static_cast<std::string*>(to)->append(data, size * count);
  return size * count;
}

std::size_t take_header(char* data, std::size_t size, std::size_t count, void* to) {
  std::string_view line(data, size * count);
  auto& headers = static_cast<HttpResponse*>(to)->headers;
  if (line.starts_with("HTTP/")) headers.clear();  // of an earlier answer: 100, or of a proxy
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' ')) {
    value.remove_suffix(1);
  }
  headers.emplace_back(ascii_lower(line.substr(0, colon)), std::string(value));
  if (headers.back().first == "content-length") {
    std::size_t told = 0;
    std::from_chars(value.data(), value.data() + value.size(), told);
    static_cast<HttpResponse*>(to)->body.reserve(std::min(told, room_taken_max) + read_beyond);
  }
  return size * count;
}

// Whether nothing of the request can have reached the server.
bool never_sent(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
         code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_SSL_CONNECT_ERROR ||
         code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
}

struct Transfer {
  CurlEasy easy;
  CurlList headers;
  HttpResponse response;
  CURLcode code = CURLE_OK;
  bool done = false;
};

class CurlHttp final : public Http {
 public:
  explicit CurlHttp(HttpSettings settings) : settings_(std::move(settings)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    multi_.reset(curl_multi_init());
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, long{settings_.connections_max});
    curl_multi_setopt(multi_.get(), CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      long{settings_.connections_max});
  }

  std::vector<Result<HttpResponse>> send(std::span<const HttpRequest> requests) override {
    std::vector<Transfer> transfers(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) begin(requests[i], transfers[i]);
    int running = 0;
    do {
      curl_multi_perform(multi_.get(), &running);
      collect();
      if (running > 0) curl_multi_poll(multi_.get(), nullptr, 0, 1000, nullptr);
    } while (running > 0);
    collect();
    std::vector<Result<HttpResponse>> answers;
    answers.reserve(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      answers.push_back(answer(requests[i], transfers[i]));
      curl_multi_remove_handle(multi_.get(), transfers[i].easy.get());
      idle_.push_back(std::move(transfers[i].easy));
    }
    return answers;
  }

 private:
  void begin(const HttpRequest& request, Transfer& transfer) {
    if (idle_.empty()) {
      transfer.easy.reset(curl_easy_init());
    } else {
      transfer.easy = std::move(idle_.back());
      idle_.pop_back();
      curl_easy_reset(transfer.easy.get());
    }
    CURL* easy = transfer.easy.get();
    curl_slist* list = nullptr;
    for (const auto& [name, value] : request.headers) {
      // A header without a value is sent only with a semicolon instead of the colon.
      list = curl_slist_append(list, (value.empty() ? name + ";" : name + ": " + value).c_str());
    }
    // Without it curl asks first whether a large body is wanted, and waits.
    list = curl_slist_append(list, "Expect:");
    list = curl_slist_append(list, "Accept:");
    transfer.headers.reset(list);
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, long{request.timeout.count()});
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, long{settings_.connect_timeout.count()});
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer.response.body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer.response);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, receive_bytes);
    if (!settings_.ca_bundle.empty()) {
      curl_easy_setopt(easy, CURLOPT_CAINFO, settings_.ca_bundle.c_str());
    }
    if (request.method == "HEAD") {
      curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET") {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
    curl_multi_add_handle(multi_.get(), easy);
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      void* at = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &at);
      auto* transfer = static_cast<Transfer*>(at);
      transfer->code = message->data.result;
      transfer->done = true;
    }
  }

  static Result<HttpResponse> answer(const HttpRequest& request, Transfer& transfer) {
    const UrlParts url = split_url(request.url);
    if (!transfer.done || transfer.code != CURLE_OK) {
      const bool unsent = transfer.done && never_sent(transfer.code);
      const char* why = curl_easy_strerror(transfer.done ? transfer.code : CURLE_RECV_ERROR);
      Error error{unsent ? ErrorCode::unavailable : ErrorCode::outcome_unknown,
                  fmt::format("{}://{} did not answer: {}", url.scheme, url.host, why)};
      if (transfer.code == CURLE_PEER_FAILED_VERIFICATION) {
        error.hint = "AWS_CA_BUNDLE names the certificates to trust";
      } else if (unsent) {
        error.hint =
            "look at the endpoint (`AWS_ENDPOINT_URL…`, which says http:// where it means it), at "
            "the region, and at the network and its proxy";
      }
      return error;
    }
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    transfer.response.status = static_cast<int>(status);
    return std::move(transfer.response);
  }

  HttpSettings settings_;
  CurlMulti multi_;
  std::vector<CurlEasy> idle_;
};

}  // namespace

std::string header_of(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

std::unique_ptr<Http> make_http(HttpSettings settings) {
  return std::make_unique<CurlHttp>(std::move(settings));
}

struct HttpPool::Idle {
  // Threads that work side by side, and one that looks.
  static constexpr std::size_t kept_max = 4;
  HttpSettings settings;
  std::mutex mutex;
  std::vector<std::unique_ptr<Http>> kept;

  class Lent final : public Http {
   public:
    Lent(std::shared_ptr<Idle> idle, std::unique_ptr<Http> http)
        : idle_(std::move(idle)), http_(std::move(http)) {}
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    ~Lent() override {
      const std::lock_guard lock(idle_->mutex);
      if (idle_->kept.size() < kept_max) idle_->kept.push_back(std::move(http_));
    }
    std::vector<Result<HttpResponse>> send(std::span<const HttpRequest> requests) override {
      return http_->send(requests);
    }

   private:
    std::shared_ptr<Idle> idle_;
    std::unique_ptr<Http> http_;
  };
};

HttpPool::HttpPool(HttpSettings settings) : idle_(std::make_shared<Idle>()) {
  idle_->settings = std::move(settings);
}

std::unique_ptr<Http> HttpPool::take() const {
  std::unique_ptr<Http> http;
  {
    const std::lock_guard lock(idle_->mutex);
    if (!idle_->kept.empty()) {
      http = std::move(idle_->kept.back());
      idle_->kept.pop_back();
    }
  }
  if (http == nullptr) http = make_http(idle_->settings);
  return std::make_unique<Idle::Lent>(idle_, std::move(http));
}

Result<HttpResponse> send_one(Http& http, const HttpRequest& request) {
  return std::move(http.send(std::span(&request, 1)).front());
}

UrlParts split_url(std::string_view url) {
  UrlParts parts;
  std::size_t at = url.find("://");
  parts.scheme = at == std::string_view::npos ? "https" : ascii_lower(url.substr(0, at));
  if (at != std::string_view::npos) url.remove_prefix(at + 3);
  at = url.find_first_of("/?");
  parts.host = std::string(url.substr(0, at));
  parts.host.erase(0, parts.host.rfind('@') + 1);
  url = at == std::string_view::npos ? std::string_view() : url.substr(at);
  at = url.find('?');
  parts.path = std::string(url.substr(0, at));
  if (at != std::string_view::npos) parts.query = std::string(url.substr(at + 1));
  if (parts.path.empty()) parts.path = "/";
  const std::string own_port = parts.scheme == "http" ? ":80" : ":443";
  if (parts.host.ends_with(own_port)) parts.host.resize(parts.host.size() - own_port.size());
  return parts;
}

}  // namespace whimbrel::aws
