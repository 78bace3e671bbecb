#include "stores/dynamodb/dynamodb_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "stores/dynamodb/batch_sender.h"
#include "stores/dynamodb/item.h"
#include "stores/dynamodb/item_text.h"
#include "stores/dynamodb/rows.h"
#include "stores/dynamodb/splice.h"
#include "stores/dynamodb/table.h"

namespace whimbrel {

using nlohmann::json;

namespace {

constexpr Milliseconds active_max{600'000};

Error not_sql() {
  return Error{ErrorCode::refused, "DynamoDB speaks no SQL",
               "checks of a table here are `new_rows` or `command`"};
}

// What the service has against a document, in a few words and in full.
struct Flaw {
  const char* what;
  std::string why;
};

std::optional<Flaw> flaw_of(const Value& value, int depth = 1) {
  const auto* map = value.get_if<Map>();
  const auto* list = value.get_if<List>();
  if (map == nullptr && list == nullptr) return std::nullopt;
  if (depth > dynamodb::depth_max) {
    return Flaw{"making a document that is nested too deeply",
                fmt::format("maps and lists would stand in one another more than {} deep, and "
                            "DynamoDB takes no more",
                            dynamodb::depth_max)};
  }
  std::optional<Flaw> flaw;
  if (list != nullptr) {
    for (auto at = list->items.begin(); at != list->items.end() && !flaw; ++at) {
      flaw = flaw_of(*at, depth + 1);
    }
    return flaw;
  }
  for (auto at = map->fields.begin(); at != map->fields.end() && !flaw; ++at) {
    if (at->first.empty()) {
      return Flaw{"making a field without a name",
                  "a field of a document would have no name, and DynamoDB takes none"};
    }
    flaw = flaw_of(at->second, depth + 1);
  }
  return flaw;
}

// What only the service would say, item by item: too large, a key of an index of the wrong type.
class ItemRehearsal final : public Rehearsal {
 public:
  ItemRehearsal(const Catalog& catalog, const Mapping& mapping)
      : catalog_(catalog), mapping_(mapping) {}

  Result<std::vector<std::optional<Error>>> offer(std::span<const Row> rows) override {
    std::vector<std::optional<Error>> outcomes;
    const std::vector<std::string> columns = [&] {
      std::vector<std::string> names;
      for (const ColumnRule& rule : mapping_.forward) names.push_back(rule.column);
      return names;
    }();
    for (const Row& values : rows) {
      Row row(mapping_.target.columns.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        row[static_cast<std::size_t>(mapping_.forward[i].index)] = values[i];
      }
      std::optional<Error> outcome;
      const Result<std::string> item = dynamodb::item_of(mapping_.target, columns, values);
      if (!item.ok()) outcome = item.error();
      if (Status held = catalog_.can_stand(mapping_.target, row); !outcome && !held.ok()) {
        outcome = std::move(held).error();
      }
      outcomes.push_back(std::move(outcome));
    }
    return outcomes;
  }

 private:
  const Catalog& catalog_;
  const Mapping& mapping_;
};

// What a table or an index bears a second, of which a plan may want a share: what it is provisioned
// with, else what a new table on demand begins with.
double limit_of(const StoreLimits& limits, const nlohmann::json& described, bool writes) {
  constexpr double on_demand_reads = 12'000;
  constexpr double on_demand_writes = 4'000;
  const double limit = writes ? limits.write_units_per_s : limits.read_units_per_s;
  if (limit > 0 || limits.share <= 0) return limit;
  const double given = described.value("ProvisionedThroughput", json::object())
                           .value(writes ? "WriteCapacityUnits" : "ReadCapacityUnits", 0.0);
  return limits.share * (given > 0 ? given : writes ? on_demand_writes : on_demand_reads);
}

}  // namespace

DynamoStore::DynamoStore(std::shared_ptr<aws::Access> access, Clock& clock)
    : access_(std::move(access)),
      clock_(clock),
      client_(std::make_unique<aws::Client>(access_, aws::dynamodb_service(), clock)) {}

Result<std::shared_ptr<Store>> DynamoStore::open(const std::string& address, Clock& clock) {
  constexpr const char* like = "dynamodb:[REGION][?profile=…&role_arn=…&endpoint=…]";
  const std::size_t mark = std::min(address.find('?'), address.size());
  ASSIGN_OR_RETURN(aws::Access::Wanted wanted,
                   aws::wanted_of(address.substr(std::min(mark + 1, address.size())),
                                  {"profile", "role_arn", "endpoint"}, "a dynamodb store", like));
  wanted.region = address.substr(0, mark);
  const bool is_region = std::ranges::all_of(wanted.region, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!is_region) {
    return Error{ErrorCode::invalid_plan,
                 fmt::format("`{}` is no region", printable(wanted.region)), like};
  }
  ASSIGN_OR_RETURN(auto access, aws::Access::open(wanted, aws::process_environment(), clock));
  return std::shared_ptr<Store>(new DynamoStore(std::move(access), clock));  // NOLINT: private
}

// The same account is known by its endpoint and region only: its number would have to be asked for.
std::string DynamoStore::identity() const {
  const aws::Place& place = access_->place();
  return "dynamodb:" + place.region + " at " + aws::split_url(place.url_of("dynamodb")).host +
         (place.profile == "default" ? "" : " as " + place.profile);
}

std::unique_ptr<RowText> DynamoStore::row_text(const TableSchema& table) const {
  return dynamodb::item_text(table);
}

Capabilities DynamoStore::capabilities() const {
  Capabilities all;
  all.capture = true;
  all.inside = true;
  all.compares_inside = false;
  all.holds = false;
  all.writers_max = 4;
  all.queries = true;
  all.renames = false;
  all.counts_units = true;
  all.remembers_for = std::chrono::hours(24);  // a stream does
  all.counts_changes = false;                  // a put says nothing of what was there
  return all;
}

std::unique_ptr<aws::Client> DynamoStore::connect(dynamodb::Pace* pace) const {
  auto client = std::make_unique<aws::Client>(access_, aws::dynamodb_service(), clock_);
  if (pace != nullptr) {
    client->on_throttled([pace](const aws::Reply& reply) {
      if (reply.throttling.empty()) pace->throttled();
      for (const aws::ThrottlingReason& one : reply.throttling) {
        // A single hot key slows its own requests, which are tried again later; the rest goes on.
        if (one.reason.find("KeyRange") != std::string::npos) continue;
        const std::size_t index = one.resource.rfind("/index/");
        pace->throttled(index == std::string::npos ? "" : one.resource.substr(index + 7));
      }
    });
  }
  return client;
}

dynamodb::Pace& DynamoStore::pace(const std::string& table, bool writes) {
  const std::string name = (writes ? "w " : "r ") + table;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = paces_.find(name); it != paces_.end()) return *it->second;
  }
  auto made = std::make_shared<dynamodb::Pace>(clock_);
  while (true) {
    std::int64_t times_limited = 0;
    {
      const std::lock_guard lock(mutex_);
      times_limited = times_limited_;
    }
    limit(*made, table, writes, false);
    const std::lock_guard lock(mutex_);
    if (times_limited != times_limited_) continue;
    return *paces_.emplace(name, std::move(made)).first->second;
  }
}

void DynamoStore::limit(dynamodb::Pace& pace, const std::string& table, bool writes, bool at_work) {
  StoreLimits limits;
  {
    const std::lock_guard lock(mutex_);
    limits = limits_;
  }
  // Only a share depends on the table, and only what is written has indexes to be kept apart.
  const bool depends =
      limit_of(limits, json::object(), writes) > 0 && (writes || limits.read_units_per_s <= 0);
  const Result<json> there = depends ? describe_table(table) : Result<json>(json::object());
  if (!there.ok() && at_work) return;
  const json described = there.ok() ? there.value() : json::object();
  pace.limit(limit_of(limits, described, writes));
  // A scan reads the table alone; what is written goes to every index as well.
  for (const json& index : described.value("GlobalSecondaryIndexes", json::array())) {
    if (writes) pace.limit(limit_of(limits, index, writes), index.value("IndexName", ""));
  }
}

void DynamoStore::keep_within(const StoreLimits& limits) {
  std::map<std::string, std::shared_ptr<dynamodb::Pace>> at_work;
  {
    const std::lock_guard lock(mutex_);
    limits_ = limits;
    ++times_limited_;
    at_work = {paces_.begin(), paces_.end()};
  }
  for (const auto& [name, pace] : at_work)
    limit(*pace, name.substr(2), name.starts_with("w "), true);
}

Status DynamoStore::work_in(const std::string& folder) {
  ASSIGN_OR_RETURN(auto spool,
                   Spool::open(folder + "/streams-" + digest_hex(identity()).substr(0, 8) + ".db"));
  spool_ = std::move(spool);
  return {};
}

Result<DynamoStore::Spool*> DynamoStore::need_spool() const {
  if (spool_ != nullptr) return spool_.get();
  return Error{ErrorCode::internal, "a feed of DynamoDB needs a state folder"};
}

Result<json> DynamoStore::ask_table(const std::string& operation, const json& request) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const aws::Reply reply, client_->send_one({operation, request.dump()}));
  if (!reply.ok()) return client_->to_error(reply, operation);
  return json::parse(reply.body, nullptr, false);
}

// A request whose reply was lost is refused when it is made again: then it is as it should be.
Status DynamoStore::bring_about(const std::string& operation, const json& request,
                                const std::function<bool(const Result<json>&)>& is_so) {
  const Result<json> asked = ask_table(operation, request);
  if (asked.ok() || is_so(describe_table(request.value("TableName", "")))) return {};
  return asked.error();
}

Error DynamoStore::no_table(const std::string& table) {
  const aws::Place& place = access_->place();
  std::string hint;
  if (const Result<std::vector<std::string>> names = tables(); names.ok()) {
    hint = did_you_mean(table, names.value());
    if (hint.empty()) {
      hint = names.value().empty()
                 ? "there are no tables at all: is this the right region and account?"
                 : fmt::format("there {}: {}{}",
                               names.value().size() == 1
                                   ? "is one other table"
                                   : fmt::format("are {} other tables", names.value().size()),
                               join({names.value().begin(),
                                     names.value().begin() +
                                         std::min<std::ptrdiff_t>(std::ssize(names.value()), 5)},
                                    ", "),
                               names.value().size() > 5 ? ", …" : "");
    }
  }
  return Error{ErrorCode::not_found,
               fmt::format("there is no table {} in {} ({}), asked with the credentials of {}",
                           table, place.region, aws::split_url(place.url_of("dynamodb")).host,
                           access_->credentials_origin()),
               hint};
}

Result<json> DynamoStore::describe_table(const std::string& table) {
  if (!dynamodb::can_be_a_table(table)) return no_table(table);
  Result<json> reply = ask_table("DescribeTable", {{"TableName", table}});
  if (!reply.ok() && reply.error().code == ErrorCode::not_found) return no_table(table);
  if (!reply.ok()) return reply;
  return reply.value().value("Table", json::object());
}

Status DynamoStore::wait_until_active(const std::string& table, Milliseconds longest) {
  return wait_until(table, longest, [](const json& there) {
    bool is_active = there.value("TableStatus", "") == "ACTIVE";
    for (const json& index : there.value("GlobalSecondaryIndexes", json::array())) {
      is_active = is_active && index.value("IndexStatus", "ACTIVE") == "ACTIVE";
    }
    return is_active;
  });
}

Status DynamoStore::wait_until(const std::string& table, Milliseconds longest,
                               const std::function<bool(const json&)>& is_so) {
  const Milliseconds since = clock_.monotonic();
  Milliseconds pause{20};
  while (true) {
    ASSIGN_OR_RETURN(const json there, describe_table(table));
    if (is_so(there)) return {};
    if (clock_.monotonic() - since > longest) {
      return Error{ErrorCode::unavailable,
                   fmt::format("{} is {} for {} already", table, there.value("TableStatus", ""),
                               to_duration_text(longest))};
    }
    clock_.sleep_for(pause);
    pause = std::min(pause * 2, Milliseconds(2'000));
  }
}

Result<std::vector<std::string>> DynamoStore::tables() {
  std::vector<std::string> names;
  json request = json::object();
  while (true) {
    ASSIGN_OR_RETURN(const json reply, ask_table("ListTables", request));
    for (const json& name : reply.value("TableNames", json::array())) names.push_back(name);
    if (!reply.contains("LastEvaluatedTableName")) return names;
    request["ExclusiveStartTableName"] = reply["LastEvaluatedTableName"];
  }
}

Result<TableSchema> DynamoStore::describe(const std::string& table) {
  ASSIGN_OR_RETURN(const json there, describe_table(table));
  if (there.value("TableStatus", "") == "DELETING") return no_table(table);
  json definition = dynamodb::definition_of(there);
  // What a call of its own has to be asked for, where the service has such a call.
  const Result<json> ttl = ask_table("DescribeTimeToLive", {{"TableName", table}});
  if (!ttl.ok() && ttl.error().code == ErrorCode::unavailable) return ttl.error();
  if (!ttl.ok() && !is_unknown_call(ttl.error())) definition["not_read"].push_back("time_to_live");
  if (ttl.ok()) {
    const json about = ttl.value().value("TimeToLiveDescription", json::object());
    if (about.value("TimeToLiveStatus", "") == "ENABLED") {
      definition["time_to_live"] = about.value("AttributeName", "");
    }
  }
  TRY(describe_surroundings(there.value("TableArn", ""), table, definition));
  return dynamodb::schema_of(definition.dump(), table);
}

Result<std::string> DynamoStore::birth_of(const std::string& table) {
  ASSIGN_OR_RETURN(const json there, describe_table(table));
  if (there.value("TableStatus", "") == "DELETING") return no_table(table);
  // A service that gives tables no ids tells when they were made.
  return there.contains("TableId") ? there.value("TableId", "")
                                   : there.value("CreationDateTime", json()).dump();
}

// Calls that not every service knows and not every user may make. What is refused stays unknown,
// and is named in `not_read`; a service that has no such thing has nothing to carry.
Status DynamoStore::describe_surroundings(const std::string& arn, const std::string& table,
                                          json& definition) {
  const auto refused = [&definition](const Error& error, const char* what) -> Status {
    if (error.code == ErrorCode::unavailable) return error;
    if (!is_unknown_call(error)) definition["not_read"].push_back(what);
    return {};
  };
  json tags = json::array();
  json request = {{"ResourceArn", arn}};
  while (true) {
    const Result<json> reply = ask_table("ListTagsOfResource", request);
    if (!reply.ok()) {
      TRY(refused(reply.error(), "labels"));
      break;
    }
    for (const json& tag : reply.value().value("Tags", json::array())) {
      const bool is_of_the_service = tag.value("Key", "").starts_with("aws:");
      if (!is_of_the_service) tags.push_back(tag);
    }
    if (reply.value().value("NextToken", "").empty()) break;
    request["NextToken"] = reply.value()["NextToken"];
  }
  if (!tags.empty()) definition["create"]["Tags"] = std::move(tags);
  const Result<bool> points = keeps_points_in_time(table);
  if (!points.ok()) return refused(points.error(), "points_in_time");
  if (points.value()) definition["points_in_time"] = true;
  return {};
}

Result<TableSchema> DynamoStore::parse(const std::string& ddl, const std::string& table) {
  ASSIGN_OR_RETURN(TableSchema schema, dynamodb::schema_of(ddl, table));
  TRY(dynamodb::check_definition(ddl, table));
  return schema;
}

Result<TableSchema> DynamoStore::sketch(const std::string&,
                                        const std::vector<std::pair<std::string, Value>>&,
                                        const std::vector<std::pair<std::string, Value>>&) {
  return Error{ErrorCode::refused, "a table for one switch is not made in DynamoDB",
               "name a table that is there, or use `ssm` or `lambda`"};
}

Result<std::string> DynamoStore::ddl_like(const TableSchema& table, const std::string&) {
  return table.create_ddl;
}

Result<std::string> DynamoStore::ddl_for(const TableSchema& other, const std::string& name) {
  if (!dynamodb::can_be_a_table(name)) {
    return Error{ErrorCode::refused, fmt::format("a table cannot be called `{}`", printable(name)),
                 "3 to 255 of the letters, digits and `_`, `.` and `-`"};
  }
  if (other.key.empty() || other.key.size() > 2) {
    return Error{
        ErrorCode::refused,
        fmt::format("its key has {} columns, and one here has one or two", other.key.size()),
        "write the definition by hand, and make one value of several under `columns:`, "
        "like `pk: {format: \"{a}#{b}\"}`"};
  }
  const auto type_of = [&](const std::string& column) {
    switch (other.columns[static_cast<std::size_t>(other.column_index(column))].holds) {
      case Kind::int64:
      case Kind::real:
      case Kind::decimal:
        return "N";
      case Kind::bytes:
        return "B";
      default:
        return "S";
    }
  };
  json create = {{"AttributeDefinitions", json::array()},
                 {"KeySchema", json::array()},
                 {"BillingMode", "PAY_PER_REQUEST"}};
  for (const std::string& column : other.key) {
    const char* role = create["KeySchema"].empty() ? "HASH" : "RANGE";
    create["AttributeDefinitions"].push_back(
        {{"AttributeName", column}, {"AttributeType", type_of(column)}});
    create["KeySchema"].push_back({{"AttributeName", column}, {"KeyType", role}});
  }
  return create.dump(2) + "\n";
}

std::string DynamoStore::with_new_names(std::string ddl,
                                        const std::map<std::string, std::string>& names) const {
  return dynamodb::renamed(json::parse(ddl, nullptr, false), names).dump();
}

std::vector<std::string> DynamoStore::differences(const TableSchema& wanted,
                                                  const TableSchema& there) const {
  return dynamodb::differences(json::parse(wanted.create_ddl, nullptr, false),
                               json::parse(there.create_ddl, nullptr, false));
}

std::vector<std::string> DynamoStore::unlike(const TableSchema& wanted,
                                             const TableSchema& there) const {
  return dynamodb::unlike(json::parse(wanted.create_ddl, nullptr, false),
                          json::parse(there.create_ddl, nullptr, false));
}

Result<Value> DynamoStore::settle(const ColumnSchema& column, Value value) const {
  return column.declared.empty() ? dynamodb::settled(std::move(value))
                                 : dynamodb::settled_key(column, std::move(value));
}

Status DynamoStore::can_stand(const TableSchema& table, const Row& row) const {
  const std::int64_t size = dynamodb::item_size(table, row);
  if (size > dynamodb::item_bytes_max) {
    return Error{ErrorCode::refused,
                 fmt::format("the item would have {} bytes, and DynamoDB takes {}",
                             with_thousands(size), with_thousands(dynamodb::item_bytes_max)),
                 "",
                 "",
                 {"making an item that is too large"},
                 ""};
  }
  for (const Value& value : row) {
    if (const std::optional<Flaw> flaw = flaw_of(value)) {
      return Error{ErrorCode::refused, flaw->why, "", "", {flaw->what}, ""};
    }
  }
  return {};
}

Status DynamoStore::create(const TableSchema& schema, bool) {
  const Result<json> there = describe_table(schema.name);
  if (there.ok()) return wait_until_active(schema.name);
  if (there.error().code != ErrorCode::not_found) return there.error();
  json request = json::parse(schema.create_ddl, nullptr, false).value("create", json::object());
  request["TableName"] = schema.name;
  request.erase("DeletionProtectionEnabled");  // when the rows are there
  const Result<json> made = ask_table("CreateTable", request);
  // Perhaps by a request of ours whose reply was lost.
  const bool exists = !made.ok() && made.error().code == ErrorCode::conflict;
  if (!made.ok() && !exists) return Error(made.error()).within("making the table " + schema.name);
  return wait_until_active(schema.name);
}

// Time to live would begin to delete while the rows are still coming.
Status DynamoStore::complete(const TableSchema& schema) {
  const json definition = json::parse(schema.create_ddl, nullptr, false);
  const std::string attribute = definition.value("time_to_live", "");
  if (!attribute.empty()) {
    const Result<json> set =
        ask_table("UpdateTimeToLive",
                  {{"TableName", schema.name},
                   {"TimeToLiveSpecification", {{"Enabled", true}, {"AttributeName", attribute}}}});
    const bool is_set =
        !set.ok() && set.error().message.find("already enabled") != std::string::npos;
    if (!set.ok() && !is_set) return set.error();
  }
  if (definition.value("points_in_time", false)) {
    // Where there is no such thing, unlike() tells it.
    const Result<bool> kept = keep_points_in_time(schema.name);
    if (!kept.ok()) return kept.error();
  }
  if (!definition.value("create", json::object()).value("DeletionProtectionEnabled", false))
    return {};
  TRY(ask_table("UpdateTable", {{"TableName", schema.name}, {"DeletionProtectionEnabled", true}}));
  return wait_until_active(schema.name);
}

Status DynamoStore::create_index(const std::string&) { return {}; }  // made with the table

// Of a table that we made: its protection is ours as well.
Status DynamoStore::drop(const std::string& table) {
  const Result<json> there = describe_table(table);
  if (!there.ok()) {
    return there.error().code == ErrorCode::not_found ? Status() : Status(there.error());
  }
  if (there.value().value("DeletionProtectionEnabled", false)) {
    TRY(ask_table("UpdateTable", {{"TableName", table}, {"DeletionProtectionEnabled", false}}));
    TRY(wait_until_active(table));
  }
  TRY(bring_about("DeleteTable", {{"TableName", table}}, [](const Result<json>& going) {
    if (going.ok()) return going.value().value("TableStatus", "") == "DELETING";
    return going.error().code == ErrorCode::not_found;
  }));
  const Milliseconds since = clock_.monotonic();
  while (clock_.monotonic() - since < active_max) {
    const Result<json> left = describe_table(table);
    if (!left.ok())
      return left.error().code == ErrorCode::not_found ? Status() : Status(left.error());
    clock_.sleep_for(Milliseconds(100));
  }
  return Error{ErrorCode::unavailable, table + " is still being deleted"};
}

Status DynamoStore::clear(const std::string& table) {
  ASSIGN_OR_RETURN(const TableSchema schema, describe(table));
  const auto reader = dynamodb::make_reader(*this, schema);
  dynamodb::Pace& writing = pace(table, true);
  const auto client = connect(&writing);
  const std::vector<int> at = positions_of(schema.key, schema);
  std::optional<Row> after;
  do {
    ASSIGN_OR_RETURN(const ChunkOfRows chunk, reader->read_after(after, ChunkLimits{}));
    dynamodb::BatchSender batch(*client, writing, clock_, schema);
    for (const Row& row : chunk.rows) {
      const Row key = key_of(row, at);
      batch.add("{\"DeleteRequest\":{\"Key\":" + dynamodb::key_json(schema, key) + "}}", &key);
    }
    TRY(batch.flush());
    after = chunk.range.through;
  } while (after);
  return {};
}

Status DynamoStore::rename(const std::string& table, const std::string&) {
  return Error{ErrorCode::refused, "DynamoDB cannot rename " + table,
               "leave `rename_source_to` out; `finish` archives a table before it deletes it"};
}

Status DynamoStore::can_retire(const std::vector<const Mapping*>& mappings,
                               const std::string& rename_to, bool view) {
  if (!rename_to.empty()) return rename(mappings.front()->source.name, rename_to);
  if (view) return Error{ErrorCode::refused, "DynamoDB has no views", "leave `view` out"};
  for (const Mapping* mapping : mappings) {
    const Result<json> there = describe_table(mapping->source.name);
    if (!there.ok() && there.error().code == ErrorCode::not_found) continue;
    if (!there.ok()) return there.error();
    if (there.value().value("DeletionProtectionEnabled", false)) {
      return Error{ErrorCode::refused,
                   fmt::format("{} is protected against deletion", mapping->source.name),
                   "lift the protection by hand when it may go, or say `keep_source: true`",
                   "the table was not touched"};
    }
  }
  return {};
}

Status DynamoStore::retire(const std::vector<const Mapping*>& mappings,
                           const std::string& rename_to, bool view) {
  TRY(can_retire(mappings, rename_to, view));
  for (const Mapping* mapping : mappings) TRY(drop(mapping->source.name));
  return {};
}

Status DynamoStore::revive(const std::string&, const std::string&) { return {}; }

Result<std::unique_ptr<SnapshotReader>> DynamoStore::open_reader(const TableSchema& table) {
  return dynamodb::make_reader(*this, table);
}

Result<std::unique_ptr<SnapshotReader>> DynamoStore::open_reader_where(
    const TableSchema& table, std::span<const Condition> where) {
  return dynamodb::make_reader(*this, table, where);
}

Result<std::unique_ptr<BatchWriter>> DynamoStore::open_writer(
    const TableSchema& table, const std::vector<std::string>& columns) {
  return dynamodb::make_writer(*this, table, columns);
}

bool DynamoStore::reaches(const Store& source) const {
  return dynamic_cast<const DynamoStore*>(&source) != nullptr;
}

bool DynamoStore::copies_inside(const Mapping& mapping, const Store& source) const {
  return reaches(source) && dynamodb::ItemSplicer::can(mapping);
}

Result<std::unique_ptr<InsideCopier>> DynamoStore::open_inside(const Mapping& mapping,
                                                               const Store& source) {
  auto& from = const_cast<DynamoStore&>(dynamic_cast<const DynamoStore&>(source));  // NOLINT: it is
                                                                                    // only read
  return dynamodb::make_raw_copier(*this, from, mapping);
}

Status DynamoStore::claim(const std::string& migration, const std::string& journal) {
  ASSIGN_OR_RETURN(Spool* const spool, need_spool());
  TRY(spool->claim(migration, journal));
  ASSIGN_OR_RETURN(const std::string by, spool->claimed_by(migration));
  if (by == journal) return {};
  return Error{ErrorCode::conflict, "another journal drives " + migration + " from this folder"};
}

Result<std::string> DynamoStore::claimed_by(const std::string& migration) {
  return spool_ == nullptr ? Result<std::string>(std::string()) : spool_->claimed_by(migration);
}

Status DynamoStore::mark(const std::string& migration, const std::string& journal,
                         std::int64_t records) {
  ASSIGN_OR_RETURN(const std::string by, claimed_by(migration));
  return by == journal ? spool_->mark(migration, records) : Status();
}

Result<std::optional<std::int64_t>> DynamoStore::marked(const std::string& migration,
                                                        const std::string& journal) {
  ASSIGN_OR_RETURN(const std::string by, claimed_by(migration));
  if (by.empty() || by != journal) return std::optional<std::int64_t>();
  return spool_->marked(migration);
}

Status DynamoStore::disown(const std::string& migration, const std::string& journal) {
  ASSIGN_OR_RETURN(const std::string by, claimed_by(migration));
  return !by.empty() && by == journal ? spool_->disown(migration) : Status();
}

// A put and a delete whose condition cannot hold: they are judged like any other, and do nothing.
Result<std::string> DynamoStore::self_test(const Mapping& mapping, bool, const Row&) {
  const TableSchema& table = mapping.target;
  json key = json::object();
  for (std::size_t i = 0; i < table.key.size(); ++i) {
    const auto at = static_cast<std::size_t>(mapping.target_key[i]);
    const std::string& type = table.columns[at].declared;
    key[table.key[i]] = {{type, type == "N" ? "0" : type == "B" ? "d2hpbWJyZWw=" : "whimbrel"}};
  }
  const json never = {{"ConditionExpression", "attribute_exists(#k) AND attribute_not_exists(#k)"},
                      {"ExpressionAttributeNames", {{"#k", table.key.front()}}},
                      {"TableName", table.name}};
  for (const char* operation : {"PutItem", "DeleteItem"}) {
    json request = never;
    request[std::string_view(operation) == "PutItem" ? "Item" : "Key"] = key;
    const Result<json> tried = ask_table(operation, request);
    if (!tried.ok() && tried.error().code != ErrorCode::conflict) return tried.error();
  }
  return std::string("put, delete");
}

Result<std::unique_ptr<Rehearsal>> DynamoStore::rehearse(const Mapping& mapping, bool) {
  return std::unique_ptr<Rehearsal>(std::make_unique<ItemRehearsal>(catalog(), mapping));
}

Status DynamoStore::understands(const std::string&) { return not_sql(); }
Result<Value> DynamoStore::ask(const std::string&) { return not_sql(); }

namespace {

// Whether rows of the new side may have a value of this name.
bool is_given(const Mapping& mapping, const std::string& column) {
  const bool by_rule = std::ranges::any_of(
      mapping.forward, [&](const ColumnRule& rule) { return rule.column == column; });
  const bool with_the_rest = std::ranges::any_of(mapping.forward, [&](const ColumnRule& rule) {
    return rule.column == mapping.target.rest_column;
  });
  return by_rule || (with_the_rest && mapping.source.column_index(column) < 0);
}

bool comes_as_it_is(const Mapping& mapping, const std::string& column) {
  if (mapping.target.rest_column.empty()) return true;  // another kind of store
  const auto rule = std::ranges::find(mapping.forward, column, &ColumnRule::column);
  if (rule == mapping.forward.end()) return is_given(mapping, column);
  const auto* bare = std::get_if<ColumnRef>(&rule->expr->node);
  return bare != nullptr && bare->column == column;
}

}  // namespace

Result<std::vector<Finding>> DynamoStore::review(const Mapping& mapping, bool) {
  std::vector<Finding> findings;
  ASSIGN_OR_RETURN(const json source, describe_table(mapping.source.name));
  const json stream = source.value("StreamSpecification", json::object());
  if (stream.value("StreamEnabled", false)) {
    findings.push_back(
        {Finding::Weight::note, "stream_in_use",
         fmt::format("the stream of {} is there already and will be read, never changed; "
                     "a shard is good for two readers",
                     mapping.source.name),
         ""});
  } else {
    findings.push_back(
        {Finding::Weight::note, "stream_begun",
         fmt::format("a stream of {} will be begun, and ended afterwards", mapping.source.name),
         ""});
  }
  const json definition = json::parse(mapping.source.create_ddl, nullptr, false);
  const std::string attribute = definition.value("time_to_live", "");
  // Only a number is a time there.
  const bool goes_along = comes_as_it_is(mapping, attribute);
  if (!attribute.empty() && !goes_along) {
    findings.push_back(
        {Finding::Weight::warning, "time_to_live",
         fmt::format("items of {} expire by `{}`, and in the new table none will: the plan does "
                     "not carry that attribute as it is",
                     mapping.source.name, attribute),
         "carry it as it is, or see to it that something else removes them"});
  }
  const bool stays_open = !mapping.target.rest_column.empty();  // else another kind of store
  const std::vector<std::string> empty =
      !stays_open ? std::vector<std::string>()
                  : dynamodb::indexes_without(
                        json::parse(mapping.target.create_ddl, nullptr, false),
                        [&](const std::string& key) { return is_given(mapping, key); });
  for (const std::string& index : empty) {
    findings.push_back({Finding::Weight::warning, "index_stays_empty",
                        fmt::format("the index {} of the new table stays empty: nothing gives its "
                                    "key a value",
                                    index),
                        "map what its key is made of, or leave the index out"});
  }
  if (!attribute.empty() && goes_along) {
    findings.push_back(
        {Finding::Weight::note, "time_to_live",
         fmt::format("items of {} expire by `{}`; {}", mapping.source.name, attribute,
                     stays_open ? "the new table begins to expire them when the copy is complete"
                                : "the new table removes none by itself"),
         ""});
  }
  return findings;
}

}  // namespace whimbrel
