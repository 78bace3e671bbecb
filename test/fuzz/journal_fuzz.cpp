// A damaged journal file is refused or opened, and what is opened says nothing that was not
// written: its records are the first ones of the journal that was there.
//
// Input: any number of patches to a small journal, each an offset (two bytes, high first), a length
// (one byte) and that many bytes. A patch of length 0 cuts the file off at its offset.
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz/fuzz.h"
#include "journal/journal.h"

namespace whimbrel::fuzz {
namespace {

namespace fs = std::filesystem;

// Without one the file would be another at each start.
class StoppedClock final : public Clock {
 public:
  TimePoint now() override { return TimePoint(Milliseconds(1'800'000'000'000)); }
  Milliseconds monotonic() override { return Milliseconds(0); }
  void sleep_for(Milliseconds) override {}
};

std::vector<Record> written_records() {
  return {PlanAccepted{1, "m", "digest", "{}", "{}"},         PhaseEntered{Phase::copying, "begun"},
          EffectIntended{"links", R"({"drop":"t"})"},         EffectConfirmed{"links", "{}"},
          ChunkCopied{0, "0a0b", false, 10, 9, 1, 0, 100, 5}, ChangesApplied{"feed", "7", 3, 2},
          Failed{"unavailable", "the disk is full"}};
}

class Bench {
 public:
  Bench() {
    std::string name = (fs::temp_directory_path() / "whimbrel-fuzz-XXXXXX").string();
    demand(mkdtemp(name.data()) != nullptr, "a temporary folder cannot be made", name);
    folder_ = name;
    const std::string path = (folder_ / "journal.db").string();
    {
      const auto journal = Journal::open(path, clock_);
      demand(journal.ok(), "a new journal cannot be made", path);
      for (const Record& record : written_records()) {
        demand(journal.value()->append(record).ok(), "a record cannot be written");
      }
      demand(journal.value()->keep({0, "0a", "{}"}).ok(), "a row cannot be kept");
    }
    sqlite3* database = nullptr;
    constexpr const char* same_id = "UPDATE about SET value = '0123456789abcdef' WHERE name = 'id'";
    const bool set = sqlite3_open(path.c_str(), &database) == SQLITE_OK &&
                     sqlite3_exec(database, same_id, nullptr, nullptr, nullptr) == SQLITE_OK;
    sqlite3_close(database);
    demand(set, "the journal's id cannot be set");
    std::ifstream in(path, std::ios::binary);
    whole_.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    demand(whole_.size() > 4096 && fs::remove(path), "the journal cannot be read", path);
  }
  ~Bench() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void open_with(std::string_view patches) {
    const std::string path = (folder_ / "journal.db").string();
    for (const char* beside : {"", "-wal", "-shm", "-journal"}) fs::remove(path + beside);
    std::ofstream(path, std::ios::binary) << patched(patches);
    const auto journal = Journal::open(path, clock_);
    if (!journal.ok()) return;
    const auto records = journal.value()->records();
    demand(records.ok(), "records can be read once and not twice");
    expect_prefix(records.value());
    (void)journal.value()->state();
    (void)journal.value()->kept();
    (void)journal.value()->append(PhaseEntered{Phase::following, "after the damage"});
  }

 private:
  std::string patched(std::string_view patches) const {
    std::string bytes = whole_;
    while (patches.size() >= 3 && !bytes.empty()) {
      const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(patches[i]); };
      const std::size_t at = (byte(0) * std::size_t{256} + byte(1)) % bytes.size();
      const std::size_t length = byte(2);
      const std::string_view with = patches.substr(3, length).substr(0, bytes.size() - at);
      patches.remove_prefix(std::min(patches.size(), 3 + length));
      if (length == 0) {
        bytes.resize(at);
      } else {
        bytes.replace(at, with.size(), with);
      }
    }
    return bytes;
  }

  static void expect_prefix(const std::vector<Stamped>& found) {
    const std::vector<Record> written = written_records();
    demand(found.size() <= written.size(), "there are more records than were written");
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::string body = to_json(found[i].record);
      demand(found[i].record.index() == written[i].index() && body == to_json(written[i]),
             "a record was changed and nobody noticed", body, to_json(written[i]));
    }
  }

  fs::path folder_;
  StoppedClock clock_;
  std::string whole_;
};

}  // namespace
}  // namespace whimbrel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static whimbrel::fuzz::Bench bench;
  bench.open_with(whimbrel::fuzz::text_of(data, size));
  return 0;
}
