// A DynamoDB that has every answer ready, so that a bench measures its client and nothing else.
//
//   canned_server --items N --source TABLE FILE --target TABLE FILE [--tls CERTIFICATE KEY]
//
// A file holds the one line that all items of its table are made from (canned_items.h). The target
// is not there until somebody creates it, unless `--target-exists`. One thread, which is to be fast
// enough on one core for a client on another one. Prints {"port": …} when it listens on 127.0.0.1,
// and tells on `GET /told` what it did. Not here: requests of one connection that do not wait for
// their answers.
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "canned_database.h"

namespace whimbrel::canned {
namespace {

class Connection {
 public:
  Connection(int socket, SSL_CTX* tls) : socket_(socket) {
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls == nullptr) return;
    ssl_ = SSL_new(tls);
    SSL_set_fd(ssl_, socket);
    SSL_set_accept_state(ssl_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    SSL_free(ssl_);
    close(socket_);
  }

  // False when it is over. `waits_to_write` says what it wants to hear of.
  bool serve(Database& database) {
    while (true) {
      if (!send()) return false;
      if (waits_to_write()) return true;
      if (const std::optional<std::size_t> size = request_size()) {
        respond(database, *size);
        continue;
      }
      if (!receive()) return false;
      if (!request_size()) return true;
    }
  }
  bool waits_to_write() const { return at_ < pieces_.size(); }

 private:
  // Head and body together, when both are here.
  std::optional<std::size_t> request_size() {
    if (head_size_ == 0) {
      const std::size_t end = in_.find("\r\n\r\n");
      if (end == std::string::npos) return std::nullopt;
      head_size_ = end + 4;
      body_size_ = 0;
      const std::string length = header("content-length");
      std::from_chars(length.data(), length.data() + length.size(), body_size_);
    }
    if (in_.size() < head_size_ + body_size_) return std::nullopt;
    return head_size_ + body_size_;
  }

  std::string header(std::string_view name) const {
    const std::string_view head = std::string_view(in_).substr(0, head_size_);
    for (std::size_t at = head.find("\r\n"); at + 2 < head.size(); at = head.find("\r\n", at + 2)) {
      const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
      if (line.size() <= name.size() || line[name.size()] != ':') continue;
      const bool is_it = std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) ==
               std::tolower(static_cast<unsigned char>(b));
      });
      if (!is_it) continue;
      const std::size_t value = line.find_first_not_of(' ', name.size() + 1);
      return value == std::string_view::npos ? "" : std::string(line.substr(value));
    }
    return "";
  }

  void respond(Database& database, std::size_t size) {
    const std::string_view body = std::string_view(in_).substr(head_size_, body_size_);
    if (in_.starts_with("GET ")) {
      out_ = database.tell();
    } else {
      const std::string target = header("x-amz-target");
      out_ = database.answer(std::string_view(target).substr(target.find('.') + 1), body);
      database.told.received_bytes += static_cast<std::int64_t>(size);
      database.told.sent_bytes += static_cast<std::int64_t>(out_.size());
    }
    in_.erase(0, size);
    head_size_ = 0;
    pieces_.clear();
    at_ = 0;
    const auto add = [&](std::string_view text) {
      if (!text.empty())
        pieces_.push_back({const_cast<char*>(text.data()), text.size()});  // NOLINT
    };
    add(out_.head);
    for (const std::string_view slice : out_.slices) add(slice);
    add(out_.tail);
  }

  bool receive() {
    constexpr std::size_t step = std::size_t{64} << 10;
    while (true) {
      const std::size_t had = in_.size();
      const std::size_t wanted =
          head_size_ > 0 ? std::max(head_size_ + body_size_ - had, step) : step;
      in_.resize(had + wanted);
      const long got = ssl_ != nullptr ? SSL_read(ssl_, in_.data() + had, static_cast<int>(wanted))
                                       : recv(socket_, in_.data() + had, wanted, 0);
      in_.resize(had + static_cast<std::size_t>(std::max(got, 0L)));
      if (got <= 0) return would_wait(got);
      if (request_size()) return true;
    }
  }

  bool send() {
    constexpr std::size_t pieces_at_once = 256;
    while (waits_to_write()) {
      iovec& first = pieces_[at_];
      const long sent =
          ssl_ != nullptr
              ? SSL_write(ssl_, first.iov_base,
                          static_cast<int>(std::min(first.iov_len, std::size_t{1} << 20)))
              : writev(socket_, &first,
                       static_cast<int>(std::min(pieces_.size() - at_, pieces_at_once)));
      if (sent <= 0) return would_wait(sent);
      auto left = static_cast<std::size_t>(sent);
      while (left > 0) {
        iovec& piece = pieces_[at_];
        const std::size_t part = std::min(left, piece.iov_len);
        piece.iov_base = static_cast<char*>(piece.iov_base) + part;
        piece.iov_len -= part;
        left -= part;
        if (piece.iov_len == 0) ++at_;
      }
    }
    return true;
  }

  bool would_wait(long result) const {
    if (ssl_ == nullptr) return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    const int why = SSL_get_error(ssl_, static_cast<int>(result));
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
  }

  int socket_;
  SSL* ssl_ = nullptr;
  std::string in_;
  std::size_t head_size_ = 0;
  std::size_t body_size_ = 0;
  Answer out_;
  std::vector<iovec> pieces_;
  std::size_t at_ = 0;
};

SSL_CTX* tls_with(const std::string& certificate, const std::string& key) {
  SSL_CTX* tls = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_use_certificate_chain_file(tls, certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    fail("the certificate or its key cannot be read");
  }
  return tls;
}

int listen_on(std::uint16_t& port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener, 512) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail(fmt::format("127.0.0.1:{} cannot be listened on", port));
  }
  port = ntohs(address.sin_port);
  return listener;
}

[[noreturn]] void serve(Database& database, int listener, SSL_CTX* tls) {
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  std::map<int, std::unique_ptr<Connection>> open;
  const auto wait_for = [&](int how, int socket, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = socket;
    epoll_ctl(poll, how, socket, &event);
  };
  wait_for(EPOLL_CTL_ADD, listener, EPOLLIN);
  std::array<epoll_event, 128> events{};
  while (true) {
    const int count = epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int at = events[static_cast<std::size_t>(i)].data.fd;
      if (at == listener) {
        const int socket = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) continue;
        open[socket] = std::make_unique<Connection>(socket, tls);
        wait_for(EPOLL_CTL_ADD, socket, EPOLLIN);
        continue;
      }
      Connection& connection = *open[at];
      const bool waited = connection.waits_to_write();
      if (!connection.serve(database)) {
        open.erase(at);  // closed, and so no longer waited for
      } else if (connection.waits_to_write() != waited) {
        wait_for(EPOLL_CTL_MOD, at, waited ? EPOLLIN : EPOLLIN | EPOLLOUT);
      }
    }
  }
}

struct Options {
  std::int64_t items = 0;
  std::uint16_t port = 0;
  std::array<std::string, 2> source;  // table, file
  std::array<std::string, 2> target;
  std::array<std::string, 2> tls;  // certificate, key
  bool target_exists = false;
};

Options options_from(const std::vector<std::string>& words) {
  Options options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto next = [&] {
      if (i + 1 >= words.size()) fail(words[i] + " wants more");
      return words[++i];
    };
    const std::string& name = words[i];
    if (name == "--items") {
      options.items = std::strtoll(next().c_str(), nullptr, 10);
    } else if (name == "--port") {
      options.port = static_cast<std::uint16_t>(std::strtol(next().c_str(), nullptr, 10));
    } else if (name == "--target-exists") {
      options.target_exists = true;
    } else if (name == "--source" || name == "--target" || name == "--tls") {
      auto& pair = name == "--tls"      ? options.tls
                   : name == "--source" ? options.source
                                        : options.target;
      pair[0] = next();
      pair[1] = next();
    } else {
      fail("it knows no " + name);
    }
  }
  if (options.items < 1 || options.source[0].empty() || options.target[0].empty()) {
    fail("it wants --items, --source and --target");
  }
  return options;
}

}  // namespace
}  // namespace whimbrel::canned

int main(int count, char** words) {
  using namespace whimbrel::canned;
  const Options options = options_from({words + 1, words + count});
  std::signal(SIGPIPE, SIG_IGN);
  const std::string of_source = line_of(options.source[1]);
  const std::string of_target = line_of(options.target[1]);
  const auto source = std::make_shared<const Items>(of_source, options.items);
  const auto target =
      of_source == of_target ? source : std::make_shared<const Items>(of_target, options.items);
  Database database({options.source[0], source}, {options.target[0], target},
                    options.target_exists);
  SSL_CTX* tls = options.tls[0].empty() ? nullptr : tls_with(options.tls[0], options.tls[1]);
  std::uint16_t port = options.port;
  const int listener = listen_on(port);
  fmt::print("{{\"port\": {}}}\n", port);
  std::fflush(stdout);
  serve(database, listener, tls);
}
