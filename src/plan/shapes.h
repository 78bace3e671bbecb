// Which tables of a plan the engine gets to see in another shape, and in which.
//
// A source gets one where rows become several items or one of a group, where something is looked
// up, where several entries read it, and where the new key follows from more than the old one. A
// target gets one where several entries write it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plan/plan_file.h"
#include "store/shaped_store.h"

namespace whimbrel {

class Shapes {
 public:
  // All of these outlive it. `entries`: what the plan names by pattern is named one by one.
  // `linked`: links carry each write, which know rows by their keys alone.
  Shapes(const std::map<std::string, std::shared_ptr<Store>>& stores,
         std::vector<TableEntry>& entries, bool linked, Diagnostics& diagnostics);

  // What a source looks like to the values of its entry: with columns for what is looked up, or as
  // groups. False when a mistake was noted.
  Result<bool> open_source(const TableEntry& entry, TableSchema& source);
  // Whether the source that was opened last has the column only in its shape.
  bool has_made(const std::string& column) const;
  // When it is known what becomes of each column: gives both their shape and their name. False when
  // a mistake was noted.
  bool close(const TableEntry& entry, std::vector<std::pair<std::string, ExprPtr>>& columns,
             TableSchema& source, TableSchema& target);
  // Of the entry that was closed last. What was looked up is not given back; and of open tables
  // nobody knows beforehand which parts of a joined key are numbers: some rows say.
  Status lead_back(const Move& move, Mapping& mapping) const;
  // Rows of two entries that could have one key are told apart by a constant of each; a mistake
  // where they have none.
  void keep_apart();
  // The store as the engine is to see it.
  std::shared_ptr<Store> store(const std::string& alias) const;
  bool any() const { return !shaped_.empty(); }

 private:
  struct Written {
    const TableEntry* entry;
    TargetShape shape;
    std::vector<Mark> marks;  // all that it could be told by
  };
  // One of `one` that has another value in `other`; null where there is none.
  static const Mark* mark_that_differs(const Written& one, const Written& other);
  void tell_by(const std::string& column, Written& one);
  // Whether other entries have the same table on that side.
  bool shares(const TableEntry& entry, TableAddress TableEntry::* side) const;
  bool need_columns(const TableEntry& entry, TableSchema& table,
                    const std::vector<NamedPlace>& names);
  Result<bool> open_lookups(const TableEntry& entry, TableSchema& source);
  Result<bool> open_lookup(const TableEntry& entry, const LookupEntry& lookup, TableSchema& source);
  bool open_groups(const TableEntry& entry, TableSchema& source);
  // Nothing leads from the key of an item that only follows back to the row's: `columns` then copy
  // what the shape makes of the row.
  bool make_key(const TableEntry& entry, const TableSchema& target, SourceShape& shape,
                std::vector<std::pair<std::string, ExprPtr>>& columns);
  bool lengthen_key(const TableEntry& entry,
                    const std::vector<std::pair<std::string, ExprPtr>>& columns,
                    const TableSchema& target, SourceShape& shape);
  ShapedStore& shaped(const std::string& alias);

  const std::map<std::string, std::shared_ptr<Store>>& stores_;
  const std::vector<TableEntry>& entries_;
  bool linked_;
  Diagnostics& diagnostics_;
  std::map<std::string, std::shared_ptr<ShapedStore>> shaped_;
  SourceShape open_;                    // of the entry that is bound right now
  std::vector<std::string> looked_up_;  // by the one that was closed last
  bool is_written_back_ = true;         // the one that was closed last
  bool has_made_key_ = false;           // the one that was closed last
  std::vector<Written> written_;
};

}  // namespace whimbrel
