// The arena over PostgreSQL: two tables, and an application with a session of its own, whose
// settings spell values otherwise than the store's sessions do.
//
// Beginning a session takes longer than most tests: the application's last as long as the process.
// WHIMBREL_POSTGRESQL_URL says which database; everything in it is deleted, and its server gets a
// role of the name whimbrel_conformance.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "conformance/arena.h"
#include "stores/postgresql/connection.h"

namespace whimbrel::conformance {

struct PostgresqlSetting {
  std::string schema = "public";  // of both tables of the shape
  bool is_superuser = true;       // the store; else it only owns the tables
  bool is_partitioned = false;
};

class PostgresqlArena final : public Arena {
 public:
  PostgresqlArena(const Shape& shape, const PostgresqlSetting& setting);

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

  std::optional<Value> refused_state() const override { return Value::text("refused"); }
  bool computes_inside() const override { return false; }

  // The application runs any SQL.
  Status run(const std::string& sql, const Row& parameters = {});
  bool is_partitioned() const { return setting_.is_partitioned; }

 private:
  void make_owner();
  void create(const std::string& table, bool is_new);
  std::vector<Row> ask(const std::string& sql);
  // Runs the statements that a query gives.
  void run_each(const std::string& sql);
  std::string where_key(std::size_t first_parameter) const;

  Shape shape_;
  PostgresqlSetting setting_;
  SystemClock clock_;
  postgresql::Connection& application_;
  postgresql::Connection& eyes_;  // the application's, with values spelled as in the store
  std::shared_ptr<Store> store_;
};

}  // namespace whimbrel::conformance
