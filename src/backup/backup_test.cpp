#include "backup/backup.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "backup/archive.h"
#include "backup/documents.h"
#include "backup/files.h"
#include "backup/zstd_lines.h"
#include "base/effort_test.h"
#include "stores/memory/memory_store.h"
#include "value/fingerprint.h"

namespace whimbrel {
namespace {

namespace fs = std::filesystem;

class RecordedEvents final : public Events {
 public:
  void emit(const Event& event) override { all.push_back(event); }
  std::vector<Event> all;
};

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void spill(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void flip(const fs::path& path, std::int64_t at, int bits) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(at);
  const int byte = file.get();
  file.seekp(at);
  file.put(static_cast<char>(byte ^ bits));
}

ErrorCode code_of(const Status& status) {
  EXPECT_FALSE(status.ok());
  return status.ok() ? ErrorCode::internal : status.error().code;
}
template <class T>
ErrorCode code_of(const Result<T>& result) {
  EXPECT_FALSE(result.ok());
  return result.ok() ? ErrorCode::internal : result.error().code;
}

TableSchema table_named(const std::string& name) {
  TableSchema schema;
  schema.name = name;
  schema.columns = {{"id", "integer", false, false, false, "", Kind::int64},
                    {"label", "text", true, true, false, "nocase"},
                    {"data", "", true, false, false, ""},
                    {"twice", "integer", true, false, true, ""}};
  schema.key = {"id"};
  schema.create_ddl = "create table " + name;
  return schema;
}

constexpr std::int64_t several_chunks = 2500;
constexpr std::int64_t several_batches = 25000;

class BackupFolder : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() /
            fmt::format("whimbrel_backup_{}_{}", ::getpid(),
                        testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
    folder_ = root_ / "made" / "here";
  }
  void TearDown() override { fs::remove_all(root_); }

  Status put(MemoryStore& store, const std::string& table, std::int64_t id, Value label,
             Value data = {}) {
    return store.put(
        table,
        {{"id", Value::integer(id)}, {"label", std::move(label)}, {"data", std::move(data)}});
  }
  // Two tables: `many` with more rows than one chunk holds, `none` without any.
  void fill(std::int64_t rows = several_chunks) {
    source_.add_table(table_named("many"));
    source_.add_table(table_named("none"));
    for (std::int64_t id = 0; id < rows; ++id) {
      ASSERT_TRUE(put(source_, "many", id, Value::text(fmt::format("label {}", id))).ok());
    }
  }
  Result<std::vector<BackedUpTable>> take() {
    return take_backup(source_, {"many", "none"}, folder_, events_);
  }
  Result<std::vector<BackedUpTable>> restore() { return restore_backup(folder_, target_, events_); }
  void expect_same_rows(const std::string& table) {
    const std::vector<Row> expected = source_.rows(table);
    const std::vector<Row> found = target_.rows(table);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(same(found[i], expected[i]));
  }

  // Rows written, as the latest event of a restored table says.
  Event::Field restored_last(const std::string& table) const {
    for (auto event = events_.all.rbegin(); event != events_.all.rend(); ++event) {
      const bool is_it = event->name == "table_restored" && event->text("table") == table;
      if (is_it) return event->fields[2].second;
    }
    return std::string("it was not told");
  }

  SystemClock clock_;
  MemoryStore source_{"source", clock_};
  MemoryStore target_{"target", clock_};
  RecordedEvents events_;
  fs::path root_;
  fs::path folder_;
};

TEST_F(BackupFolder, BringsBackEveryKindOfValue) {
  source_.add_table(table_named("odd values"));
  const std::vector<Value> values = {
      {},
      Value::text(""),
      Value::text(std::string("a\0b\nc\xff\xc3\x28", 8)),
      Value::bytes(std::string("\0\xff\n", 3)),
      Value::integer(std::numeric_limits<std::int64_t>::min()),
      Value::integer(std::numeric_limits<std::int64_t>::max()),
      Value::real(-0.0),
      Value::real(0.0),
      Value::real(std::numeric_limits<double>::denorm_min()),
      Value::real(-std::numeric_limits<double>::infinity()),
      Value::real(std::numeric_limits<double>::quiet_NaN()),
      Value(Value::Storage(true)),
      Value(Value::Storage(Decimal{"123456789012345678901234567890.10"})),
      Value(Value::Storage(TextSet{{"", "a"}})),
      Value(Value::Storage(List{{Value::integer(1), {}}})),
      Value(Value::Storage(Map{{{"k", Value::json("{}")}}})),
      Value::text(std::string(3 << 20, 'x')),
  };
  std::int64_t id = std::numeric_limits<std::int64_t>::max();
  for (const Value& value : values)
    ASSERT_TRUE(put(source_, "odd values", id--, value, value).ok());
  const auto taken = take_backup(source_, {"odd values"}, folder_, events_);
  ASSERT_TRUE(taken.ok()) << to_text(taken.error());
  EXPECT_EQ(taken.value().at(0).rows, std::ssize(values));
  ASSERT_TRUE(verify_backup(folder_, source_).ok());
  const auto restored = restore();
  ASSERT_TRUE(restored.ok()) << to_text(restored.error());
  EXPECT_EQ(restored.value().at(0).fingerprint, taken.value().at(0).fingerprint);
  expect_same_rows("odd values");
}

TEST_F(BackupFolder, HoldsManyChunksAndAnEmptyTable) {
  fill();
  const auto taken = take();
  ASSERT_TRUE(taken.ok()) << to_text(taken.error());
  ASSERT_EQ(taken.value().size(), 2U);
  Fingerprint expected;
  for (const Row& row : source_.rows("many")) expected.add(row);
  EXPECT_EQ(taken.value()[0].fingerprint, expected.to_text());
  EXPECT_EQ(taken.value()[0].file, "many.rows.zst");
  EXPECT_EQ(taken.value()[1].rows, 0);
  ASSERT_TRUE(restore().ok());
  expect_same_rows("many");
  EXPECT_TRUE(target_.has_table("none"));
  ASSERT_EQ(events_.all.size(), 4U);
  EXPECT_EQ(events_.all[0].name, "table_backed_up");
  EXPECT_EQ(events_.all[0].fields[0].second, Event::Field("many"));
  EXPECT_EQ(events_.all[0].fields[1].second, Event::Field(several_chunks));
  EXPECT_EQ(events_.all[2].name, "table_restored");
}

TEST_F(BackupFolder, LetsOnlyTheOwnerRead) {
  fill();
  ASSERT_TRUE(take().ok());
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    struct stat about{};
    ASSERT_EQ(stat(entry.path().c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600U) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 5);  // no .part is left
  struct stat about{};
  ASSERT_EQ(stat(folder_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700U);
}

TEST_F(BackupFolder, NoticesEachFlippedByteOfTheDocuments) {
  fill(3);
  ASSERT_TRUE(take().ok());
  for (const char* file : {"manifest.json", "many.schema.json", "none.schema.json"}) {
    const std::int64_t size = std::ssize(slurp(folder_ / file));
    for (std::int64_t at = 0; at < size; at += effort(5, 1)) {
      flip(folder_ / file, at, 1);
      EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::data_mismatch)
          << file << " " << at;
      flip(folder_ / file, at, 1);
      if (HasFailure()) return;
    }
  }
  EXPECT_TRUE(verify_backup(folder_, source_).ok());
}

TEST_F(BackupFolder, NoticesEachDamageOfTheRows) {
  fill();
  ASSERT_TRUE(take().ok());
  for (const char* file : {"many.rows.zst", "none.rows.zst"}) {
    const std::string whole = slurp(folder_ / file);
    for (std::int64_t at = 0; at < std::ssize(whole);
         at += std::ssize(whole) / effort(50, 200) + 1) {
      flip(folder_ / file, at, 0x10);
      EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::data_mismatch)
          << file << " " << at;
      flip(folder_ / file, at, 0x10);
      if (HasFailure()) return;
    }
    for (std::int64_t size = std::ssize(whole) - 1; size >= 0; size -= size / 20 + 1) {
      fs::resize_file(folder_ / file, static_cast<std::uintmax_t>(size));
      EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::data_mismatch)
          << file << " cut " << size;
    }
    spill(folder_ / file, whole + "x");
    EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::data_mismatch);
    spill(folder_ / file, whole + whole);
    EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::data_mismatch);
    spill(folder_ / file, whole);
  }
  EXPECT_TRUE(verify_backup(folder_, source_).ok());
}

TEST_F(BackupFolder, DoesNotRestoreWhatIsDamaged) {
  fill();
  ASSERT_TRUE(take().ok());
  flip(folder_ / "none.rows.zst", 3, 1);
  const auto restored = restore();
  EXPECT_EQ(code_of(restored), ErrorCode::data_mismatch);
  EXPECT_EQ(restored.error().safe, "nothing was changed in the store");
  EXPECT_FALSE(target_.has_table("many"));
}

TEST_F(BackupFolder, NoticesSwappedAndMissingFiles) {
  fill();
  ASSERT_TRUE(take().ok());
  const std::string many = slurp(folder_ / "many.rows.zst");
  spill(folder_ / "many.rows.zst", slurp(folder_ / "none.rows.zst"));
  EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::data_mismatch);
  spill(folder_ / "many.rows.zst", many);
  for (const char* file : {"manifest.json", "many.rows.zst", "many.schema.json", "none.rows.zst",
                           "none.schema.json"}) {
    fs::rename(folder_ / file, root_ / "away");
    EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::not_found) << file;
    EXPECT_EQ(code_of(restore()), ErrorCode::not_found) << file;
    fs::rename(root_ / "away", folder_ / file);
  }
  EXPECT_TRUE(verify_backup(folder_, source_).ok());
  EXPECT_FALSE(target_.has_table("many"));
}

TEST_F(BackupFolder, DoesNotFollowAManifestOutOfTheFolder) {
  fill();
  ASSERT_TRUE(take().ok());
  Manifest manifest = manifest_from_text(slurp(folder_ / "manifest.json")).value();
  manifest.tables[0].rows.file = "../here/many.rows.zst";
  spill(folder_ / "manifest.json", manifest_to_text(manifest).value());
  EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::data_mismatch);
}

TEST_F(BackupFolder, NeverOverwritesACompleteBackup) {
  fill();
  ASSERT_TRUE(take().ok());
  const std::string before = slurp(folder_ / "manifest.json");
  ASSERT_TRUE(put(source_, "many", several_chunks, {}).ok());
  EXPECT_EQ(code_of(take()), ErrorCode::refused);
  EXPECT_EQ(slurp(folder_ / "manifest.json"), before);
  EXPECT_TRUE(verify_backup(folder_, source_).ok());
}

TEST_F(BackupFolder, OverwritesAnInterruptedBackup) {
  fill();
  fs::create_directories(folder_);
  spill(folder_ / "many.rows.zst.part", "half of it");
  spill(folder_ / "many.schema.json", "{}");
  spill(folder_ / "manifest.json.part", "{");
  EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::not_found);
  ASSERT_TRUE(take().ok());
  EXPECT_TRUE(verify_backup(folder_, source_).ok());
  EXPECT_FALSE(fs::exists(folder_ / "many.rows.zst.part"));
  ASSERT_TRUE(restore().ok());
  expect_same_rows("many");
}

TEST_F(BackupFolder, RefusesWhatCannotBeReadByKey) {
  fill();
  TableSchema keyless = table_named("keyless");
  keyless.key.clear();
  source_.add_table(keyless);
  const auto refused = take_backup(source_, {"many", "keyless"}, folder_, events_);
  EXPECT_EQ(code_of(refused), ErrorCode::refused);
  EXPECT_NE(refused.error().message.find("`keyless`"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_));
  source_.add_table(table_named("holed"));
  ASSERT_TRUE(source_.put("holed", {{"label", Value::text("no id")}}).ok());
  EXPECT_EQ(code_of(take_backup(source_, {"holed"}, folder_, events_)), ErrorCode::refused);
  EXPECT_EQ(code_of(take_backup(source_, {"absent"}, folder_, events_)), ErrorCode::not_found);
  EXPECT_EQ(code_of(verify_backup(folder_, source_)), ErrorCode::not_found);
  EXPECT_TRUE(take().ok());
}

TEST_F(BackupFolder, BacksUpATableOnceThatIsNamedTwice) {
  fill();
  const auto taken = take_backup(source_, {"many", "many"}, folder_, events_);
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(taken.value().size(), 1U);
}

TEST_F(BackupFolder, RefusesATargetWithOtherRows) {
  fill();
  ASSERT_TRUE(take().ok());
  target_.add_table(table_named("many"));
  ASSERT_TRUE(put(target_, "many", 7, Value::text("written by somebody")).ok());
  ASSERT_TRUE(put(target_, "many", 8, Value::text("label 8")).ok());
  ASSERT_TRUE(put(target_, "many", -1, Value::text("of nobody's backup")).ok());
  const auto refused = restore();
  EXPECT_EQ(code_of(refused), ErrorCode::refused);
  EXPECT_EQ(refused.error().message,
            "`many` is not empty: 1 of its 3 keys hold a row that the backup has otherwise, "
            "1 are not in the backup");
  EXPECT_EQ(refused.error().safe, "nothing was changed in the store");
  EXPECT_EQ(target_.rows("many").size(), 3U);
  EXPECT_FALSE(target_.has_table("none"));
}

TEST_F(BackupFolder, GoesOnAfterAnInterruptedRestore) {
  fill(several_batches);
  ASSERT_TRUE(take().ok());
  target_.add_table(table_named("many"));
  // Not only a beginning: batches may have been written in any order.
  for (std::int64_t id = 0; id < several_batches; id += id < 12000 ? 1 : 7) {
    ASSERT_TRUE(put(target_, "many", id, Value::text(fmt::format("label {}", id))).ok());
  }
  const std::int64_t there = std::ssize(target_.rows("many"));
  ASSERT_TRUE(restore().ok());
  expect_same_rows("many");
  EXPECT_EQ(restored_last("many"), Event::Field(several_batches - there));
  ASSERT_TRUE(restore().ok());
  expect_same_rows("many");
  EXPECT_EQ(restored_last("many"), Event::Field(std::int64_t{0}));
}

// Writes to the target as soon as its first table is complete.
class Meddler final : public Events {
 public:
  Meddler(MemoryStore& store, std::int64_t id) : store_(store), id_(id) {}
  void emit(const Event&) override {
    EXPECT_TRUE(store_.put("second", {{"id", Value::integer(id_)}}).ok());
  }

 private:
  MemoryStore& store_;
  std::int64_t id_;
};

TEST_F(BackupFolder, NoticesAWriterDuringTheRestore) {
  fill(3);
  source_.add_table(table_named("second"));
  ASSERT_TRUE(put(source_, "second", 1, Value::text("of the backup")).ok());
  ASSERT_TRUE(take_backup(source_, {"many", "second"}, folder_, events_).ok());
  target_.add_table(table_named("second"));
  Meddler same_key(target_, 1);
  EXPECT_EQ(code_of(restore_backup(folder_, target_, same_key)), ErrorCode::conflict);
  EXPECT_TRUE(target_.rows("second").at(0).at(1).is_null());  // the other's row is kept
  ASSERT_TRUE(target_.erase("second", {Value::integer(1)}).ok());
  Meddler other_key(target_, 2);
  EXPECT_EQ(code_of(restore_backup(folder_, target_, other_key)), ErrorCode::data_mismatch);
  ASSERT_TRUE(target_.erase("second", {Value::integer(2)}).ok());
  EXPECT_TRUE(restore().ok());
  expect_same_rows("second");
}

TEST_F(BackupFolder, RefusesATargetOfAnotherShape) {
  fill();
  ASSERT_TRUE(take().ok());
  std::vector<TableSchema> shapes(4, table_named("many"));
  shapes[0].columns.pop_back();
  shapes[1].key = {"label"};
  shapes[2].columns[2].declared = "real";
  shapes[3].triggers = {"audit"};
  for (const TableSchema& shape : shapes) {
    target_.add_table(shape);
    EXPECT_EQ(code_of(restore()), ErrorCode::refused);
    EXPECT_TRUE(target_.rows("many").empty());
    EXPECT_FALSE(target_.has_table("none"));
  }
}

TEST(BackupDocuments, ASchemaComesBackWhole) {
  TableSchema schema = table_named("t \"quoted\" \u00fc");
  schema.key = {"label", "id"};
  schema.uniques = {{"label"}, {"data", "label"}};
  schema.foreign_keys = {{{"data"}, "parent", {"id"}, "CASCADE", "NO ACTION"}};
  schema.referenced_by = {"child"};
  schema.triggers = {"first"};
  schema.views = {"v"};
  schema.has_checks = true;
  schema.strict = true;
  schema.create_ddl = "create table t (\n  a, -- \"a\"\n  b)";
  schema.index_ddl = {"create index i", "create index j"};
  schema.trigger_ddl = {"create trigger first"};
  const auto text = schema_to_text(schema);
  ASSERT_TRUE(text.ok());
  const auto back = schema_from_text(text.value());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(schema_to_text(back.value()).value(), text.value());
  EXPECT_EQ(back.value().name, schema.name);
  EXPECT_EQ(back.value().key, schema.key);
  EXPECT_EQ(back.value().uniques, schema.uniques);
  EXPECT_EQ(back.value().create_ddl, schema.create_ddl);
  EXPECT_EQ(back.value().index_ddl, schema.index_ddl);
  EXPECT_EQ(back.value().trigger_ddl, schema.trigger_ddl);
  EXPECT_TRUE(back.value().columns[3].generated);
  EXPECT_FALSE(back.value().columns[0].nullable);
  EXPECT_EQ(back.value().columns[0].holds, Kind::int64);
  EXPECT_EQ(back.value().columns[1].collation, "nocase");
  EXPECT_EQ(back.value().foreign_keys[0].on_delete, "CASCADE");
  EXPECT_FALSE(schema_from_text("[]").ok());
  EXPECT_FALSE(schema_from_text("{\"name\": 7}").ok());
  schema.create_ddl = "\xff";
  EXPECT_EQ(code_of(schema_to_text(schema)), ErrorCode::refused);
}

TEST(BackupFileNames, AreSafeAndDifferForEachTable) {
  EXPECT_EQ(file_stem_of("order_lines2"), "order_lines2");
  for (const std::string name : {"", ".", "..", "a/b", "Caps", "a b", "\u00fc", "a-b"}) {
    const std::string stem = file_stem_of(name);
    EXPECT_EQ(stem.find_first_of("/. "), std::string::npos) << stem;
    EXPECT_NE(stem.find('-'), std::string::npos) << stem;
  }
  EXPECT_NE(file_stem_of("a b"), file_stem_of("a/b"));
  EXPECT_NE(file_stem_of("Caps"), file_stem_of("CAPS"));
  const std::string longest(500, 'x');
  EXPECT_LT(file_stem_of(longest).size(), 120U);
  EXPECT_NE(file_stem_of(longest), file_stem_of(longest + "y"));
}

TEST_F(BackupFolder, LinesOfAnyLengthComeBack) {
  const std::string path = root_ / "lines.zst";
  const auto writer = ZstdLinesWriter::create(path);
  ASSERT_TRUE(writer.ok());
  std::vector<std::string> lines = {"", "a", ""};
  // Around the sizes of zstd's own blocks and buffers.
  for (const std::size_t length : {131070U, 131071U, 131072U, 131073U, 1000000U}) {
    std::string line;
    for (std::size_t i = 0; i < length; ++i) line += static_cast<char>('a' + i * i % 23);
    lines.push_back(line);
  }
  for (const std::string& line : lines) ASSERT_TRUE(writer.value()->write(line).ok());
  EXPECT_FALSE(writer.value()->write("two\nlines").ok());
  EXPECT_FALSE(fs::exists(path));
  const Result<std::string> digest = writer.value()->finish();
  ASSERT_TRUE(digest.ok());
  const auto reader = ZstdLinesReader::open(path);
  ASSERT_TRUE(reader.ok());
  for (const std::string& line : lines) EXPECT_EQ(reader.value()->next().value(), line);
  EXPECT_FALSE(reader.value()->next().value().has_value());
  EXPECT_FALSE(reader.value()->next().value().has_value());
  EXPECT_EQ(reader.value()->digest(), digest.value());
}

TEST_F(BackupFolder, AnAbandonedFileLeavesNothing) {
  const std::string path = root_ / "lines.zst";
  {
    const auto writer = ZstdLinesWriter::create(path);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer.value()->write("begun").ok());
    EXPECT_TRUE(fs::exists(path + ".part"));
  }
  EXPECT_TRUE(fs::is_empty(root_));
  spill(path, "");
  EXPECT_EQ(code_of(ZstdLinesReader::open(path).value()->next()), ErrorCode::data_mismatch);
  spill(path, "no zstd at all");
  EXPECT_EQ(code_of(ZstdLinesReader::open(path).value()->next()), ErrorCode::data_mismatch);
}

}  // namespace
}  // namespace whimbrel
