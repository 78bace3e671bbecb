// An object in a bucket of S3 that an application reads its settings from: its whole text.
//
// Written on the condition that it is still what was read, so that nobody's write gets lost.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "aws/bucket.h"
#include "base/text.h"
#include "cutover/switches.h"

namespace whimbrel {

namespace {

using nlohmann::json;
using Object = std::optional<aws::Bucket::Object>;

constexpr std::int64_t text_max = std::int64_t{1} << 20;

class ObjectSwitchOn final : public Switch {
 public:
  ObjectSwitchOn(const ObjectSwitch& plan, Clock& clock) : plan_(plan), clock_(clock) {}

  Result<std::string> found() override {
    ASSIGN_OR_RETURN(const Object there, read());
    json body = {{"present", there.has_value()}};
    if (there) {
      body["text"] = to_hex(there->body);
      // As they came, in whichever encoding.
      for (const auto& [name, value] : there->about) body["about"][name] = to_hex(value);
    }
    return body.dump();
  }

  Result<SwitchState> state() override {
    ASSIGN_OR_RETURN(const Object there, read());
    return there && there->body == plan_.text ? SwitchState::on : SwitchState::off;
  }

  Status flip() override { return write(plan_.text, {}); }

  Status put_back(const std::string& found) override {
    ASSIGN_OR_RETURN(const json body, read_found(found, "present"));
    if (body["present"].get<bool>()) {
      aws::Headers about;
      const json noted = body.value("about", json::object());
      for (const auto& [name, value] : noted.items()) {
        about.emplace_back(name, from_hex(value.get<std::string>()));
      }
      return write(from_hex(body.value("text", "")), about);
    }
    TRY(connect());
    return bucket_->remove(plan_.key);
  }

  bool can_be_told_again() const override { return true; }
  std::string describe() const override {
    return fmt::format("the object {}: gets another text", plan_.written);
  }

 private:
  Status connect() {
    if (bucket_ != nullptr) return {};
    ASSIGN_OR_RETURN(bucket_, aws::Bucket::open(plan_.bucket, {}, clock_));
    return {};
  }

  Result<Object> read() {
    TRY(connect());
    ASSIGN_OR_RETURN(Object there, bucket_->get_part(plan_.key, 0, text_max, ""));
    if (there && there->size > text_max) {
      return Error{ErrorCode::refused, fmt::format("{} has {} bytes: that is no text of settings",
                                                   plan_.written, with_thousands(there->size))};
    }
    return there;
  }

  // `about` where nothing is there to be like.
  Status write(const std::string& text, const aws::Headers& about) {
    Result<Object> there = read();
    if (!there.ok()) {
      // What cannot be seen may have been changed by an earlier try: `refused` would deny it.
      Error error = std::move(there).error();
      if (error.code == ErrorCode::refused) error.code = ErrorCode::unavailable;
      return error;
    }
    if (there.value() && there.value()->body == text) return {};
    const std::string before = there.value() ? there.value()->etag : "";
    const Result<std::string> put =
        bucket_->put(plan_.key, text, before, there.value() ? there.value()->about : about);
    if (put.ok()) return {};
    if (put.error().code != ErrorCode::outcome_unknown) return put.error();
    const Result<Object> after = read();
    const bool is_there = after.ok() && after.value() && after.value()->body == text;
    return is_there ? Status() : Status(put.error());
  }

  const ObjectSwitch& plan_;
  Clock& clock_;
  std::unique_ptr<aws::Bucket> bucket_;
};

}  // namespace

std::unique_ptr<Switch> make_object_switch(const ObjectSwitch& plan, Clock& clock) {
  return std::make_unique<ObjectSwitchOn>(plan, clock);
}

}  // namespace whimbrel
