#include "aws/signer.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/handle.h"
#include "base/text.h"

namespace whimbrel::aws {

namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

// Headers that a proxy may add or change on the way are not signed.
bool is_signed(std::string_view name) {
  return name != "authorization" && name != "user-agent" && name != "x-amzn-trace-id" &&
         name != "expect" && name != "transfer-encoding" && name != "connection";
}

// Outer spaces go, and runs of inner ones become one.
std::string trimmed(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// Those that are signed: their lines in the order of their names, and the names.
struct SignedHeaders {
  std::string lines;
  std::string names;
};

SignedHeaders signed_headers(const HttpRequest& request) {
  Headers headers;
  headers.reserve(request.headers.size());
  for (const auto& [name, value] : request.headers) {
    std::string lower = ascii_lower(name);
    if (is_signed(lower)) headers.emplace_back(std::move(lower), trimmed(value));
  }
  std::ranges::stable_sort(headers, {}, &Headers::value_type::first);
  SignedHeaders all;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto& [name, value] = headers[i];
    if (i > 0 && name == headers[i - 1].first) {
      all.lines.back() = ',';  // one line for all of a name
    } else {
      if (i > 0) all.names += ';';
      all.names += name;
      all.lines += name;
      all.lines += ':';
    }
    all.lines += value;
    all.lines += '\n';
  }
  return all;
}

std::string header_of(const HttpRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers) {
    if (ascii_iequals(key, name)) return value;
  }
  return "";
}

// Without `.`, `..` and doubled slashes.
std::string normalized(std::string_view path) {
  std::vector<std::string_view> parts;
  bool ends_with_slash = path.empty() || path.back() == '/';
  while (!path.empty()) {
    const std::size_t at = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, at);
    path.remove_prefix(std::min(at + 1, path.size()));
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    if (path.empty() && (part == "." || part == "..")) ends_with_slash = true;
  }
  std::string out;
  for (const std::string_view part : parts) {
    out += '/';
    out += part;
  }
  if (ends_with_slash || out.empty()) out += '/';
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string uri_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                         hex_digit(text[i + 2]) >= 0;
    if (escaped) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    pairs.emplace_back(uri_encode(uri_decode(pair.substr(0, equals))),
                       uri_encode(uri_decode(value)));
  }
  std::ranges::sort(pairs);
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

using Authentication = std::unique_ptr<EVP_MAC_CTX, FreeWith<EVP_MAC_CTX_free>>;

// Algorithms are looked up by their names here, which costs more than a signature: once a thread.
Authentication authentication_with_sha256() {
  static EVP_MAC* const kind = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  Authentication state(EVP_MAC_CTX_new(kind));
  assert_always(state != nullptr, "libcrypto has no HMAC");
  std::string digest = "SHA256";
  const std::array<OSSL_PARAM, 2> with = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  EVP_MAC_CTX_set_params(state.get(), with.data());
  return state;
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view message) {
  thread_local const Authentication with_sha256 = authentication_with_sha256();
  std::string digest(32, '\0');
  std::size_t size = 0;
  EVP_MAC_CTX* const state = with_sha256.get();
  const bool done = EVP_MAC_init(state, reinterpret_cast<const unsigned char*>(key.data()),
                                 key.size(), nullptr) == 1 &&
                    EVP_MAC_update(state, reinterpret_cast<const unsigned char*>(message.data()),
                                   message.size()) == 1 &&
                    EVP_MAC_final(state, reinterpret_cast<unsigned char*>(digest.data()), &size,
                                  digest.size()) == 1;
  assert_always(done, "libcrypto refused to sign");
  return digest;
}

std::string uri_encode(std::string_view text, bool keep_slash) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

Signer::Signer(std::string region, std::string service, SigningRules rules)
    : region_(std::move(region)), service_(std::move(service)), rules_(rules) {}

std::string Signer::scope(std::string_view date) const {
  return std::string(date) + "/" + region_ + "/" + service_ + "/aws4_request";
}

const std::string& Signer::key_for(const Credentials& credentials, std::string_view date) {
  const std::string made_of = credentials.secret_key + "\n" + std::string(date);
  if (key_made_of_ != made_of) {
    key_ = hmac_sha256("AWS4" + credentials.secret_key, date);
    for (const std::string& part : {region_, service_, std::string("aws4_request")}) {
      key_ = hmac_sha256(key_, part);
    }
    key_made_of_ = made_of;
  }
  return key_;
}

std::string Signer::canonical_request(const HttpRequest& request) const {
  const SignedHeaders headers = signed_headers(request);
  return canonical_request(request, headers.lines, headers.names);
}

std::string Signer::canonical_request(const HttpRequest& request, const std::string& lines,
                                      const std::string& names) const {
  const UrlParts url = split_url(request.url);
  std::string path = rules_.normalizes_path ? normalized(url.path) : url.path;
  // The path of a URL is encoded once already.
  path = rules_.encodes_path_twice ? uri_encode(path, true) : uri_encode(uri_decode(path), true);
  std::string text = request.method + "\n" + path + "\n" + canonical_query(url.query) + "\n";
  text += lines + "\n" + names + "\n";
  const std::string given = header_of(request, "x-amz-content-sha256");
  return text + (given.empty() ? sha256_hex(request.body) : given);
}

std::string Signer::string_to_sign(const HttpRequest& request) const {
  return string_to_sign(header_of(request, "x-amz-date"), canonical_request(request));
}

std::string Signer::string_to_sign(const std::string& at, const std::string& canonical) const {
  return std::string(algorithm) + "\n" + at + "\n" + scope(at.substr(0, 8)) + "\n" +
         sha256_hex(canonical);
}

void Signer::sign(HttpRequest& request, const Credentials& credentials, TimePoint now) {
  std::erase_if(request.headers, [](const auto& header) {
    const std::string name = ascii_lower(header.first);
    return name == "host" || name == "x-amz-date" || name == "x-amz-security-token" ||
           name == "authorization" || name == "x-amz-content-sha256";
  });
  const std::string at = to_compact(now);
  request.headers.emplace_back("host", split_url(request.url).host);
  request.headers.emplace_back("x-amz-date", at);
  if (rules_.signs_payload_hash) {
    request.headers.emplace_back("x-amz-content-sha256", rules_.unsigned_payload
                                                             ? std::string("UNSIGNED-PAYLOAD")
                                                             : sha256_hex(request.body));
  }
  if (!credentials.session_token.empty()) {
    request.headers.emplace_back("x-amz-security-token", credentials.session_token);
  }
  const std::string date = at.substr(0, 8);
  const SignedHeaders headers = signed_headers(request);
  const std::string signature = to_hex(
      hmac_sha256(key_for(credentials, date),
                  string_to_sign(at, canonical_request(request, headers.lines, headers.names))));
  request.headers.emplace_back(
      "authorization", std::string(algorithm) + " Credential=" + credentials.access_key + "/" +
                           scope(date) + ", SignedHeaders=" + headers.names +
                           ", Signature=" + signature);
}

}  // namespace whimbrel::aws
