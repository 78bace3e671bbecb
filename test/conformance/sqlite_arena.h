// The arena over SQLite: a file of its own, and an application with a plain connection to it.
#pragma once

#include <sqlite3.h>

#include <filesystem>

#include "base/handle.h"
#include "conformance/arena.h"

namespace whimbrel::conformance {

struct ApplicationSettings {
  std::string journal_mode = "wal";
  bool recursive_triggers = false;
  bool foreign_keys = false;
};

class SqliteArena final : public Arena {
 public:
  SqliteArena(const Shape& shape, const ApplicationSettings& settings);
  ~SqliteArena() override;
  SqliteArena(const SqliteArena&) = delete;
  SqliteArena& operator=(const SqliteArena&) = delete;

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
  std::optional<Value> refused_state() const override { return Value(); }

  // The application runs any SQL; an error of SQLite's is `refused` with its words.
  Status run(const std::string& sql, const Row& parameters = {});
  std::vector<Row> ask(const std::string& sql, const Row& parameters = {});
  const std::filesystem::path& file() const { return file_; }

 private:
  std::string where_key(const std::string& table, std::size_t first_parameter);

  SystemClock clock_;
  std::filesystem::path folder_;
  std::filesystem::path file_;
  std::unique_ptr<sqlite3, FreeWith<sqlite3_close_v2>> application_;
  std::shared_ptr<Store> store_;
};

std::string quoted(const std::string& identifier);
// CREATE TABLE of both sides of a shape.
std::string source_ddl(const Shape& shape);
std::string target_ddl(const Shape& shape);

}  // namespace whimbrel::conformance
