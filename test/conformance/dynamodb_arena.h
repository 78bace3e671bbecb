// The arena over DynamoDB: two tables, and an application that asks the service itself, with a
// client of its own.
//
// WHIMBREL_DYNAMODB_ENDPOINT says where a DynamoDB Local answers; whatever is called as the tables
// here are is deleted there.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "conformance/arena.h"

namespace whimbrel::conformance {

enum class Indexed { nothing, amount };

// The system's, and what a test lets pass in no time.
class ShiftedClock final : public Clock {
 public:
  TimePoint now() override { return system_.now() + shift_; }
  Milliseconds monotonic() override { return system_.monotonic() + shift_; }
  void sleep_for(Milliseconds duration) override { system_.sleep_for(duration); }
  void shift(Milliseconds by) { shift_ += by; }

 private:
  SystemClock system_;
  Milliseconds shift_{0};
};

class DynamoArena final : public Arena {
 public:
  DynamoArena(const Shape& shape, Indexed indexed);
  ~DynamoArena() override;
  DynamoArena(const DynamoArena&) = delete;
  DynamoArena& operator=(const DynamoArena&) = delete;

  Store& store() override { return *store_; }
  void reopen() override;
  Status insert(const std::string& table, const std::vector<Named>& values) override;
  Status update(const std::string& table, const Row& key,
                const std::vector<Named>& values) override;
  Status erase(const std::string& table, const Row& key) override;
  std::vector<Row> rows(const std::string& table) override;
  TimePoint now() override { return clock_.now(); }
  void let_pass(Milliseconds duration) override { clock_.sleep_for(duration); }
  std::vector<std::string> leftovers() override;
  void drop_capture() override;
  // The application's own use of a table's stream.
  void begin_stream(const std::string& table);
  bool has_stream(const std::string& table);
  ShiftedClock& clock() { return clock_; }

  Value number(std::int64_t number) const override;
  std::size_t long_text_bytes() const override { return 300'000; }
  std::optional<Value> refused_state() const override {
    return Value::text(std::string(450'000, 'x'));
  }
  bool knows_own_writes_for_good() const override { return false; }  // a stream does not say who

 private:
  // What is no success is an error.
  Result<nlohmann::json> ask(const std::string& operation, const nlohmann::json& request);
  nlohmann::json ask_or_throw(const std::string& operation, const nlohmann::json& request);
  void create(const std::string& table, bool is_new, Indexed indexed);
  std::vector<std::string> tables();
  nlohmann::json key_of_item(const Row& key) const;

  Shape shape_;
  std::vector<std::string> source_columns_;  // in the order of the store's schema
  std::vector<std::string> target_columns_;
  ShiftedClock clock_;
  std::filesystem::path folder_;
  std::unique_ptr<aws::Client> application_;
  std::shared_ptr<Store> store_;
};

}  // namespace whimbrel::conformance
