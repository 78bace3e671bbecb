// `ids:`, `references:` and `mask:`: which columns get new values, as if the plan had written them.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "plan/plan_file.h"

namespace whimbrel {

// A reference before the moves have their numbers.
struct NamedReference {
  std::string said;    // as the plan spells it, or the column's name
  std::string column;  // of the source
  IdPlace place;
  std::string parent;  // a table of the plan
};

// Of the sources, as far as they are there; by the plan's entries, which stay where they are.
using SourceSchemas = std::map<const TableEntry*, TableSchema>;

class NewIds {
 public:
  // `tables` are all of the plan. `has_begun`: what is no longer there is not asked for again.
  NewIds(const PlanFile& plan, const std::vector<TableEntry>& tables, const SourceSchemas& schemas,
         bool has_begun, Diagnostics& diagnostics)
      : plan_(plan),
        tables_(tables),
        schemas_(schemas),
        has_begun_(has_begun),
        diagnostics_(diagnostics) {}

  struct Found {
    TableEntry entry;  // with the columns that get new ids
    std::vector<NamedReference> references;
  };
  // Names under `references:` that no table of the plan has; all of the plan at once. `is_there`:
  // whether the sources have a table of this name, which the plan only leaves out.
  void look_for_unknown_tables(const std::function<bool(const std::string&)>& is_there) const;
  // References that only the plan knows are added to the source's own. Mistakes go to
  // `diagnostics`.
  Found of(const TableEntry& entry, TableSchema& source) const;

 private:
  IdRecipe recipe_for(const std::string& table) const;
  const TableEntry* called(const std::string& name) const;
  std::vector<NamedReference> references_of(const TableEntry& entry,
                                            const TableSchema& source) const;
  // Nothing for what is no path, or names no column; `may_lack`: then without a word.
  std::optional<ColumnPath> own_path(const TableSchema& source, const std::string& said, Place at,
                                     bool may_lack) const;
  // Of the tables by their names, or by patterns.
  void said_by_the_plan(const TableEntry& entry, const TableSchema& source, bool by_patterns,
                        std::vector<NamedReference>& all) const;
  // Of references of several columns each by itself, as far as the parent's column is an id.
  void declared_in_part(const TableEntry& entry, const ForeignKey& key,
                        std::vector<NamedReference>& all) const;
  // As its store calls it.
  std::string stored_name(const TableEntry& entry) const;
  // The first line made of it; null where the plan has no such table.
  const TableEntry* parent_of(const TableEntry& entry, const ForeignKey& key) const;
  // Which of several lines made of the same table is meant.
  void tell_several_parents(const TableEntry& entry, const ForeignKey& key,
                            const TableEntry& first) const;
  // One id leads to one table.
  void tell_several_in_one_place() const;
  void declared_by_the_source(const TableEntry& entry, const TableSchema& source,
                              std::vector<NamedReference>& all) const;
  // Of all tables that a pattern names none has the column.
  void tell_column_of_none(const ReferenceEntry& one) const;
  bool is_a_table(const ReferenceEntry& one) const;
  // The hint is a name like this one, else `else_hint`, else all names.
  void tell_unknown(const std::string& name, Place at, const std::string& else_hint) const;
  void mask(const TableSchema& source, const std::vector<NamedReference>& references,
            TableEntry& entry) const;
  // Who refers to a value that is hidden has to hide it as well.
  void mask_references(const TableEntry& entry, const MaskEntry& one,
                       const std::string& column) const;
  void remap(const TableSchema& source, const NamedReference& one, TableEntry& entry) const;
  const TableSchema* schema_of(const std::string& table) const;
  // Whether the rows of the table get new ids.
  bool gets_ids(const std::string& table) const;
  // The table whose ids these are: where a key refers to another table's key, that one; of tables
  // whose keys refer to each other, the first by name.
  std::string root_of(const std::string& table) const;
  // Whether a reference to the table leads to a value that is changed, and so changes itself.
  bool is_remapped(const std::string& table) const;
  // Whether what the column holds, or a part of it, gets new ids.
  bool gets_new_values(const std::string& table, const std::string& column) const;
  // Whether the column, or a place in it, is masked.
  bool is_hidden(const std::string& table, const std::string& column) const;
  // Values that come from other rows than the one that is written are neither masked nor given new
  // ids.
  void tell_what_comes_as_it_is(const TableEntry& entry) const;
  // Nor is it looked whether what they refer to moves.
  void tell_what_is_not_followed(const TableEntry& entry,
                                 const std::vector<NamedReference>& references) const;
  // What a key is made of where it holds other tables' ids inside: so does whoever refers to it.
  std::vector<NamedReference> inside_key_of(const std::string& table) const;

  const PlanFile& plan_;
  const std::vector<TableEntry>& tables_;
  const SourceSchemas& schemas_;
  bool has_begun_;
  mutable std::map<std::string, std::vector<NamedReference>> known_;  // by table
  mutable std::set<std::string> in_work_;
  Diagnostics& diagnostics_;
};

}  // namespace whimbrel
