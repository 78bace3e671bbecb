// How SQLite, which several parts are built on, counts the memory that it takes.
#pragma once

#include <sqlite3.h>

#include <mutex>

namespace whimbrel {

// SQLite counts each byte that it takes under a lock of the whole process, and threads wait for
// each other there: a quarter of the time of a copy by two. Nobody asks for that count. To be
// called before the first database is opened; where SQLite is at work already it stays as its user
// has it. Any thread.
// https://www.sqlite.org/c3ref/c_config_covering_index_scan.html#sqliteconfigmemstatus
inline void do_not_count_sqlite_memory() {
  static std::once_flag once;
  std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

}  // namespace whimbrel
