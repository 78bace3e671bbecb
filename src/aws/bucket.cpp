#include "aws/bucket.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "aws/xml.h"
#include "base/text.h"

namespace whimbrel::aws {

namespace {

bool is_missing(const Reply& reply) {
  return reply.error == "NoSuchKey" || reply.error == "NotFound" || reply.error == "status 404";
}

// "bytes 0-99/1234", or "bytes */1234".
std::int64_t size_of(const Reply& reply) {
  const std::string range = reply.header("content-range");
  const std::string size = range.empty()
                               ? reply.header("content-length")
                               : range.substr(std::min(range.find('/'), range.size() - 1) + 1);
  std::int64_t bytes = 0;
  std::from_chars(size.data(), size.data() + size.size(), bytes);
  return bytes;
}

// Without the etag of its parts, which belongs to the bytes.
Headers what_it_says_of_itself(const Reply& reply) {
  constexpr std::array told = {"content-type",
                               "cache-control",
                               "content-disposition",
                               "content-encoding",
                               "content-language",
                               "expires",
                               "x-amz-storage-class",
                               "x-amz-website-redirect-location",
                               "x-amz-server-side-encryption",
                               "x-amz-server-side-encryption-aws-kms-key-id",
                               "x-amz-server-side-encryption-bucket-key-enabled"};
  Headers about;
  for (const auto& [name, value] : reply.headers) {
    const bool is_told = std::ranges::find(told, name) != told.end();
    if (is_told || name.starts_with("x-amz-meta-")) about.emplace_back(name, value);
  }
  return about;
}

// What a slow line needs for so many bytes, at 128 kbit/s.
Milliseconds time_for(std::int64_t bytes) {
  constexpr std::int64_t bytes_per_ms = 16;
  return Milliseconds(60'000 + bytes / bytes_per_ms);
}

}  // namespace

Bucket::Bucket(std::string name, Access::Wanted wanted, Clock& clock)
    : name_(std::move(name)), wanted_(std::move(wanted)), clock_(clock) {}

Result<std::unique_ptr<Bucket>> Bucket::open(std::string name, Access::Wanted wanted,
                                             Clock& clock) {
  auto bucket =
      std::unique_ptr<Bucket>(new Bucket(std::move(name), std::move(wanted), clock));  // NOLINT
  TRY(bucket->connect());
  return bucket;
}

Status Bucket::connect() {
  ASSIGN_OR_RETURN(auto access, Access::open(wanted_, process_environment(), clock_));
  client_ = std::make_unique<Client>(std::move(access), s3_service(), clock_);
  return {};
}

std::string Bucket::path_of(const std::string& key) const {
  return "/" + uri_encode(name_) + (key.empty() ? "" : "/" + uri_encode(key, true));
}

// Whoever asks in another region than the bucket's is told where it is.
Result<Reply> Bucket::send(Call call) {
  const bool has_body = call.method == "PUT" || call.method == "POST";
  if (has_body && header_of(call.headers, "content-type").empty()) {
    call.headers.emplace_back("content-type", "application/octet-stream");
  }
  ASSIGN_OR_RETURN(Reply reply, client_->send_one(call));
  const std::string region = reply.header("x-amz-bucket-region");
  const bool elsewhere = !reply.ok() && !region.empty() &&
                         region != client_->access().place().region &&
                         (reply.status == 301 || reply.status == 307 || reply.status == 400);
  if (!elsewhere) return reply;
  wanted_.region = region;
  TRY(connect());
  return client_->send_one(call);
}

Error Bucket::to_error(const Reply& reply, const std::string& operation) const {
  Error error = client_->to_error(reply, operation);
  const Place& place = client_->access().place();
  if (reply.status == 403 && error.hint.empty()) {
    error.hint = fmt::format("whoever {} is needs the permission s3:{} for {}",
                             client_->access().credentials_origin(), operation, name_);
  } else if (reply.error == "NoSuchBucket" || (operation == "ListBucket" && reply.status == 404)) {
    error = Error{ErrorCode::not_found,
                  fmt::format("there is no bucket `{}` at {}", printable(name_),
                              split_url(place.url_of("s3")).host),
                  "whimbrel makes no buckets: who may read one is for you to say"};
  } else if (wanted_.endpoint.empty() && !place.endpoints.contains("s3") &&
             place.endpoints.contains("")) {
    error.hint = "AWS_ENDPOINT_URL is asked for S3 as well, unless AWS_ENDPOINT_URL_S3 is set";
  }
  return error;
}

Status Bucket::reach() {
  // The answer to a HEAD would not say why.
  Call call{.operation = "ListBucket",
            .body = "",
            .method = "GET",
            .path = path_of("") + "?list-type=2&max-keys=1"};
  ASSIGN_OR_RETURN(const Reply reply, send(std::move(call)));
  if (!reply.ok()) return to_error(reply, "ListBucket");
  return {};
}

Result<bool> Bucket::holds(const std::string& key) {
  Call call{.operation = "GetObject", .body = "", .method = "GET", .path = path_of(key)};
  call.headers.emplace_back("range", "bytes=0-0");
  ASSIGN_OR_RETURN(const Reply reply, send(std::move(call)));
  if (reply.ok() || reply.status == 416) return true;  // an empty one has no first byte
  if (is_missing(reply)) return false;
  Error error = to_error(reply, "GetObject");
  if (reply.error == "AccessDenied") {
    error.hint += " and s3:ListBucket, without which S3 does not say whether an object is there";
  }
  return error;
}

Result<std::optional<Bucket::Object>> Bucket::get_part(const std::string& key, std::int64_t from,
                                                       std::int64_t count,
                                                       const std::string& etag) {
  Call call{.operation = "GetObject", .body = "", .method = "GET", .path = path_of(key)};
  call.headers.emplace_back("range", fmt::format("bytes={}-{}", from, from + count - 1));
  call.timeout = time_for(count);
  if (!etag.empty()) call.headers.emplace_back("if-match", etag);
  ASSIGN_OR_RETURN(Reply reply, send(std::move(call)));
  if (is_missing(reply)) return std::optional<Object>();
  if (reply.status == 416) return std::optional(Object{"", etag, size_of(reply)});
  if (reply.status == 412) {
    return Error{ErrorCode::conflict,
                 fmt::format("s3://{}/{} was replaced while it was read", name_, key)};
  }
  if (!reply.ok()) return to_error(reply, "GetObject");
  // A server that knows no ranges sends everything, from the beginning.
  if (reply.status == 200 && std::ssize(reply.body) > count) {
    return Error{ErrorCode::refused, "this server sends no parts of an object",
                 "it has to know the header `Range`"};
  }
  const std::int64_t size = size_of(reply);
  return std::optional(
      Object{std::move(reply.body), reply.header("etag"), size, what_it_says_of_itself(reply)});
}

Result<std::string> Bucket::put(const std::string& key, const std::string& body,
                                const std::optional<std::string>& instead_of,
                                const Headers& about) {
  Call call{.operation = "PutObject", .body = body, .method = "PUT", .path = path_of(key)};
  call.headers = about;
  call.timeout = time_for(std::ssize(body));
  // Tried again after it has arrived, a condition would not hold any more.
  call.repeatable = !instead_of.has_value();
  if (instead_of && instead_of->empty()) {
    call.headers.emplace_back("if-none-match", "*");
  } else if (instead_of) {
    call.headers.emplace_back("if-match", *instead_of);
  }
  ASSIGN_OR_RETURN(const Reply reply, send(std::move(call)));
  if (instead_of && (reply.status == 412 || reply.status == 409 || is_missing(reply))) {
    return Error{ErrorCode::conflict,
                 fmt::format("s3://{}/{} is not any more what it was", name_, key)};
  }
  if (!reply.ok()) return to_error(reply, "PutObject");
  return reply.header("etag");
}

Status Bucket::remove(const std::string& key) {
  Call call{.operation = "DeleteObject", .body = "", .method = "DELETE", .path = path_of(key)};
  ASSIGN_OR_RETURN(const Reply reply, send(std::move(call)));
  if (!reply.ok() && !is_missing(reply)) return to_error(reply, "DeleteObject");
  return {};
}

Result<Bucket::Upload> Bucket::begin_upload(const std::string& key) {
  Call call{
      .operation = "PutObject", .body = "", .method = "POST", .path = path_of(key) + "?uploads="};
  ASSIGN_OR_RETURN(const Reply reply, send(std::move(call)));
  if (!reply.ok()) return to_error(reply, "PutObject");
  Upload upload{key, tag_of(reply.body, "UploadId"), {}};
  if (upload.id.empty()) {
    return Error{ErrorCode::unavailable, "S3 began an upload and did not say which"};
  }
  return upload;
}

Status Bucket::add_part(Upload& upload, std::string body) {
  const std::size_t number = upload.etags.size() + 1;
  const std::int64_t size = std::ssize(body);
  Call call{.operation = "PutObject", .body = std::move(body), .method = "PUT"};
  call.timeout = time_for(size);
  call.path = fmt::format("{}?partNumber={}&uploadId={}", path_of(upload.key), number,
                          uri_encode(upload.id));
  ASSIGN_OR_RETURN(const Reply reply, send(std::move(call)));
  if (!reply.ok()) return to_error(reply, "PutObject");
  upload.etags.push_back(reply.header("etag"));
  upload.size += size;
  return {};
}

Status Bucket::complete(const Upload& upload) {
  constexpr int tries_max = 4;
  Call call{.operation = "PutObject", .body = "<CompleteMultipartUpload>"};
  for (std::size_t i = 0; i < upload.etags.size(); ++i) {
    call.body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1,
                             upload.etags[i]);
  }
  call.body += "</CompleteMultipartUpload>";
  call.path = path_of(upload.key) + "?uploadId=" + uri_encode(upload.id);
  call.timeout = time_for(upload.size / 16);  // it copies the parts
  std::string said;
  for (int i = 0; i < tries_max; ++i) {
    ASSIGN_OR_RETURN(const Reply reply, send(call));
    // Tried again after it was done the upload is not known any more, and the object is there.
    if (reply.error == "NoSuchUpload") {
      ASSIGN_OR_RETURN(const bool is_ours, is_made_of(upload));
      if (is_ours) return {};
      return Error{ErrorCode::unavailable,
                   fmt::format("somebody ended the upload of s3://{}/{}", name_, upload.key),
                   "a rule of the bucket may end uploads that are not complete"};
    }
    if (!reply.ok()) return to_error(reply, "PutObject");
    // It answers before it has put the parts together, and may say in the body that it did not.
    said = tag_of(reply.body, "Code");
    if (said.empty()) return {};
    said += ": " + printable(tag_of(reply.body, "Message"), 400);
  }
  return Error{ErrorCode::unavailable,
               fmt::format("s3://{}/{} was not put together: {}", name_, upload.key, said)};
}

// S3 counts the parts in the etag.
Result<bool> Bucket::is_made_of(const Upload& upload) {
  ASSIGN_OR_RETURN(const std::optional<Object> there, get_part(upload.key, 0, 1, ""));
  const std::string count = fmt::format("-{}\"", upload.etags.size());
  return there && there->size == upload.size && there->etag.ends_with(count);
}

Status Bucket::abort(const Upload& upload) {
  Call call{.operation = "AbortMultipartUpload", .body = "", .method = "DELETE"};
  call.path = path_of(upload.key) + "?uploadId=" + uri_encode(upload.id);
  ASSIGN_OR_RETURN(const Reply reply, send(std::move(call)));
  if (!reply.ok() && reply.error != "NoSuchUpload") {
    return to_error(reply, "AbortMultipartUpload");
  }
  return {};
}

}  // namespace whimbrel::aws
