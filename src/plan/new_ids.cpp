#include "plan/new_ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "plan/names.h"

namespace whimbrel {

namespace {

// Wherever the plan reads the column, in a text or a document as well, it reads `with` of it. Where
// it moves without being named, it is named.
void put_instead(TableEntry& entry, const TableSchema& source, const std::string& column, Place at,
                 const std::function<ExprPtr(const ExprPtr& of)>& with) {
  const auto same = std::ranges::find_if(entry.same, [&](const NamedPlace& one) {
    return one.name == column || source.own_spelling(one.name) == column;
  });
  const bool stays = same != entry.same.end();
  const std::string name = stays ? same->name : column;
  if (stays) entry.same.erase(same);
  bool is_written = false;
  bool is_copied = false;
  bool is_mentioned = false;
  for (ColumnEntry& one : entry.columns) {
    const std::vector<std::string> read = columns_of(*one.expr);
    is_written = is_written || one.target == column;
    is_copied = is_copied || copied_column(*one.expr) == column;
    is_mentioned = is_mentioned || std::ranges::count(read, column) > 0;
    one.expr = with_copies(one.expr, column, with);
  }
  const bool is_left = is_written || !entry.group.empty() ||
                       (entry.rest == Rest::copy ? is_copied : is_mentioned) ||
                       entry.rest == Rest::drop;
  if (!stays && is_left) return;
  entry.columns.push_back({name, with(make_expr(ColumnRef{column})), at, at});
}

// A store that quotes odd names lists them so.
std::string bare(const std::string& name) {
  const std::string_view inside = without_quotes(name);
  return inside == name ? name : with_replaced(std::string(inside), "\"\"", "\"");
}

// Of several items that are made of one row each has a name of its own, and all have one row's ids.
std::string name_of_line(const TableEntry& entry) {
  const std::string number = fmt::format("#{}", entry.item + 1);
  return entry.item > 0 && entry.as.ends_with(number)
             ? entry.as.substr(0, entry.as.size() - number.size())
             : entry.as;
}

}  // namespace

std::string NewIds::stored_name(const TableEntry& entry) const {
  const auto it = schemas_.find(&entry);
  return it == schemas_.end() ? entry.from.table : it->second.name;
}

IdRecipe NewIds::recipe_for(const std::string& table) const {
  IdRecipe recipe{{}, plan_.ids->format, plan_.ids->prefix};
  for (const auto& [part, text] : plan_.ids->from) {
    switch (part) {
      case IdsEntry::Part::name:
        recipe.parts.emplace_back(bare(name_of_line(*called(table))));
        break;
      case IdsEntry::Part::id:
        recipe.parts.emplace_back(std::nullopt);
        break;
      case IdsEntry::Part::text:
        recipe.parts.emplace_back(text);
        break;
    }
  }
  return recipe;
}

const TableEntry* NewIds::called(const std::string& name) const {
  auto it = std::ranges::find(tables_, name, &TableEntry::as);
  if (it == tables_.end()) {
    it = std::ranges::find(tables_, name, [](const TableEntry& one) { return bare(one.as); });
  }
  return it == tables_.end() ? nullptr : &*it;
}

bool NewIds::is_a_table(const ReferenceEntry& one) const {
  if (called(one.parent) != nullptr) return true;
  if (has_begun_) return false;
  tell_unknown(one.parent, one.parent_at, "its rows are not moved here");
  return false;
}

void NewIds::tell_unknown(const std::string& name, Place at, const std::string& else_hint) const {
  std::vector<std::string> names;
  for (const TableEntry& other : tables_) names.push_back(bare(other.as));
  const std::string near = did_you_mean(name, names);
  diagnostics_.add(at, fmt::format("no table of the plan is called `{}`", printable(name)),
                   !near.empty()       ? near
                   : else_hint.empty() ? "its tables: " + join(names, ", ")
                                       : else_hint);
}

// A name that is a column's as it stands is no path.
std::optional<ColumnPath> NewIds::own_path(const TableSchema& source, const std::string& said,
                                           Place at, bool may_lack) const {
  const std::string whole = source.own_spelling(said);
  if (!whole.empty()) return ColumnPath{whole, {}};
  Result<ColumnPath> path = column_path(said);
  if (!path.ok()) {
    diagnostics_.add(at, path.error().message, path.error().hint);
    return std::nullopt;
  }
  std::string& column = path.value().column;
  const std::string own = source.own_spelling(column);
  if (!own.empty()) {
    column = own;
  } else if (source.rest_column.empty()) {
    if (!may_lack) {
      diagnostics_.add(at, fmt::format("{} has no column `{}`", source.name, printable(column)),
                       did_you_mean(column, source.column_names()));
    }
    return std::nullopt;
  }
  return std::move(path).value();
}

void NewIds::said_by_the_plan(const TableEntry& entry, const TableSchema& source, bool by_patterns,
                              std::vector<NamedReference>& all) const {
  for (const ReferenceEntry& one : plan_.references) {
    const std::string line = name_of_line(entry);
    const bool is_of_it = matches(one.table, entry.as) || matches(one.table, bare(entry.as)) ||
                          matches(one.table, line) || matches(one.table, bare(line));
    if (is_pattern(one.table) != by_patterns || !is_of_it) continue;
    const std::optional<ColumnPath> found =
        own_path(source, one.column, one.at, is_pattern(one.table));
    if (!found) continue;
    const ColumnPath& path = *found;
    // What is said first of a place holds; a pattern says it for those that say nothing.
    const bool is_known = std::ranges::any_of(all, [&](const NamedReference& other) {
      return other.column == path.column && other.place.steps == path.steps &&
             other.place.prefix == one.prefix && other.place.suffix == one.suffix;
    });
    if (is_known || !is_a_table(one)) continue;
    all.push_back({one.column,
                   path.column,
                   {path.steps, one.prefix, one.suffix, {}},
                   called(one.parent)->as});
  }
}

const TableEntry* NewIds::parent_of(const TableEntry& entry, const ForeignKey& key) const {
  const auto parent = std::ranges::find_if(tables_, [&](const TableEntry& one) {
    return one.from.alias == entry.from.alias && ascii_iequals(stored_name(one), key.parent);
  });
  return parent == tables_.end() ? nullptr : &*parent;
}

void NewIds::tell_several_parents(const TableEntry& entry, const ForeignKey& key,
                                  const TableEntry& first) const {
  if (!plan_.ids || has_begun_) return;
  for (const TableEntry& one : tables_) {
    const bool is_another = name_of_line(one) != name_of_line(first) &&
                            one.from.alias == first.from.alias &&
                            ascii_iequals(stored_name(one), key.parent);
    if (!is_another) continue;
    diagnostics_.add(entry.at,
                     fmt::format("{} refers to {} by {}, and `{}` and `{}` are both made of it",
                                 entry.as, key.parent, join(key.columns, ", "), first.as, one.as),
                     fmt::format("say which of the two is meant: `references: {{{}: {{{}: {}}}}}`",
                                 entry.as, key.columns.front(), first.as));
    return;
  }
}

void NewIds::declared_in_part(const TableEntry& entry, const ForeignKey& key,
                              std::vector<NamedReference>& all) const {
  const TableEntry* const parent = parent_of(entry, key);
  const TableSchema* const schema = parent == nullptr ? nullptr : schema_of(parent->as);
  if (schema == nullptr) return;
  const std::vector<NamedReference> of_parent = references_of(*parent, *schema);
  const std::string id = plan_.ids ? schema->own_spelling(plan_.ids->column) : "";
  for (std::size_t i = 0; i < key.columns.size() && i < key.parent_columns.size(); ++i) {
    const std::string& column = key.columns[i];
    if (std::ranges::count(all, column, &NamedReference::column) > 0) continue;
    const std::string& named = key.parent_columns[i];
    const std::string of = named.empty() && i < schema->key.size() ? schema->key[i] : named;
    bool is_another = false;
    for (const NamedReference& up : of_parent) {
      if (!ascii_iequals(up.column, of)) continue;
      is_another = true;
      all.push_back({column, column, up.place, up.parent});
    }
    const bool is_itself = parent == &entry && ascii_iequals(column, of);
    if (!is_another && !is_itself && !id.empty() && ascii_iequals(id, of) && gets_ids(parent->as)) {
      all.push_back({column, column, {}, parent->as});
    }
  }
}

void NewIds::declared_by_the_source(const TableEntry& entry, const TableSchema& source,
                                    std::vector<NamedReference>& all) const {
  for (const ForeignKey& key : source.foreign_keys) {
    if (key.columns.size() != 1) {
      declared_in_part(entry, key, all);
      continue;
    }
    const std::string& column = key.columns.front();
    if (std::ranges::count(all, column, &NamedReference::column) > 0) continue;
    const TableEntry* const parent = parent_of(entry, key);
    const TableSchema* schema = parent == nullptr ? nullptr : schema_of(parent->as);
    const std::string& of = key.parent_columns.front();
    const bool is_to_the_key = schema != nullptr && schema->key.size() == 1 &&
                               (of.empty() || ascii_iequals(of, schema->key.front()));
    if (!is_to_the_key) continue;
    tell_several_parents(entry, key, *parent);
    all.push_back({column, column, {}, parent->as});
  }
}

std::vector<NamedReference> NewIds::references_of(const TableEntry& entry,
                                                  const TableSchema& source) const {
  if (const auto known = known_.find(entry.as); known != known_.end()) return known->second;
  std::vector<NamedReference> all;
  said_by_the_plan(entry, source, false, all);
  // Tables may refer to each other in a circle.
  const bool is_in_work = !in_work_.insert(entry.as).second;
  if (!is_in_work) declared_by_the_source(entry, source, all);
  // A pattern speaks for those that say nothing themselves.
  said_by_the_plan(entry, source, true, all);
  // Of several texts around an id the one that says most is looked for first.
  std::ranges::stable_sort(all, std::ranges::greater(), [](const NamedReference& one) {
    return one.place.prefix.size() + one.place.suffix.size();
  });
  for (NamedReference& one : all) {
    for (const NamedReference& other : all) {
      const bool is_elsewhere = other.column == one.column && other.place.steps != one.place.steps;
      if (is_elsewhere) one.place.other_steps.push_back(other.place.steps);
    }
    for (const NamedReference& other : all) {
      if (&other == &one) break;
      if (other.column == one.column && other.place.steps == one.place.steps) {
        one.place.others.emplace_back(other.place.prefix, other.place.suffix);
      }
    }
  }
  if (is_in_work) return all;
  in_work_.erase(entry.as);
  known_[entry.as] = all;
  return all;
}

const TableSchema* NewIds::schema_of(const std::string& table) const {
  const auto it = schemas_.find(called(table));
  return it == schemas_.end() ? nullptr : &it->second;
}

bool NewIds::gets_ids(const std::string& table) const {
  const TableEntry* entry = called(table);
  const TableSchema* schema = schema_of(table);
  if (!plan_.ids || entry == nullptr || entry->keeps_ids || schema == nullptr) return false;
  return schema->is_key(schema->own_spelling(plan_.ids->column));
}

std::string NewIds::root_of(const std::string& table) const {
  std::string root = table;
  std::vector<std::string> passed;
  while (true) {
    if (const auto again = std::ranges::find(passed, root); again != passed.end()) {
      return *std::min_element(again, passed.end());
    }
    passed.push_back(root);
    const TableEntry* entry = called(root);
    const TableSchema* schema = schema_of(root);
    if (entry == nullptr || schema == nullptr || schema->key.size() != 1) return root;
    const auto all = references_of(*entry, *schema);
    const auto up = std::ranges::find_if(all, [&](const NamedReference& one) {
      return one.column == schema->key.front() && one.place.is_whole_value() && one.parent != root;
    });
    if (up == all.end() || up->parent == root) return root;
    root = up->parent;
  }
}

std::vector<NamedReference> NewIds::inside_key_of(const std::string& table) const {
  const TableEntry* entry = called(table);
  const TableSchema* schema = schema_of(table);
  if (entry == nullptr || schema == nullptr || schema->key.size() != 1) return {};
  std::vector<NamedReference> all = references_of(*entry, *schema);
  std::erase_if(all, [&](const NamedReference& one) {
    return one.column != schema->key.front() || one.place.is_whole_value() ||
           !is_remapped(one.parent);
  });
  return all;
}

bool NewIds::is_remapped(const std::string& table) const { return gets_ids(root_of(table)); }

void NewIds::look_for_unknown_tables(
    const std::function<bool(const std::string&)>& is_there) const {
  if (has_begun_) return;
  tell_several_in_one_place();
  for (const ReferenceEntry& one : plan_.references) {
    if (is_pattern(one.table)) {
      tell_column_of_none(one);
      continue;
    }
    if (called(one.table) != nullptr) continue;
    const bool is_misspelt = std::ranges::any_of(
        tables_, [&](const TableEntry& other) { return ascii_iequals(other.as, one.table); });
    if (!is_misspelt && is_there(one.table)) continue;
    tell_unknown(one.table, one.at, "");
  }
}

void NewIds::tell_several_in_one_place() const {
  const std::vector<ReferenceEntry>& all = plan_.references;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const bool is_one_place = all[i].table == all[j].table && all[i].column == all[j].column &&
                                all[i].prefix == all[j].prefix && all[i].suffix == all[j].suffix;
      if (!is_one_place) continue;
      diagnostics_.add(
          all[i].parent_at,
          fmt::format("an id in the same place of `{}` cannot lead to {} and to {}",
                      printable(all[i].column), printable(all[j].parent), printable(all[i].parent)),
          "tell them apart by what `as:` says around `{id}`, or leave one out");
    }
  }
}

void NewIds::tell_column_of_none(const ReferenceEntry& one) const {
  const std::string column = one.column.substr(0, one.column.find_first_of(".["));
  std::vector<std::string> columns;
  for (const TableEntry& entry : tables_) {
    const TableSchema* const schema = schema_of(entry.as);
    if (!matches(one.table, entry.as) || schema == nullptr) continue;
    const bool may_have_it = !schema->rest_column.empty() ||
                             !schema->own_spelling(one.column).empty() ||
                             !schema->own_spelling(column).empty();
    if (may_have_it) return;
    for (const std::string& known : schema->column_names()) columns.push_back(known);
  }
  if (columns.empty()) return;  // a pattern may match nothing
  diagnostics_.add(one.at,
                   fmt::format("no table that `{}` names has a column `{}`", printable(one.table),
                               printable(column)),
                   did_you_mean(column, columns));
}

// Several references may stand in one value, each in a place of its own.
void NewIds::remap(const TableSchema& source, const NamedReference& one, TableEntry& entry) const {
  const IdRecipe recipe = recipe_for(root_of(one.parent));
  put_instead(entry, source, one.column, plan_.ids->at, [&](const ExprPtr& of) {
    // Other texts in the same place go before an id that is the whole value.
    const bool is_all = one.place.is_whole_value() && one.place.others.empty();
    return is_all ? make_expr(HashId{of, recipe}) : make_expr(NewIdsInside{of, one.place, recipe});
  });
}

void NewIds::mask_references(const TableEntry& entry, const MaskEntry& one,
                             const std::string& column) const {
  for (const TableEntry& other : tables_) {
    const TableSchema* const schema = schema_of(other.as);
    if (schema == nullptr) continue;
    for (const ForeignKey& key : schema->foreign_keys) {
      if (parent_of(other, key) != &entry) continue;
      for (std::size_t i = 0; i < key.columns.size(); ++i) {
        const bool goes_along =
            other.rest == Rest::copy ||
            std::ranges::count(other.same, key.columns[i], &NamedPlace::name) > 0 ||
            std::ranges::any_of(other.columns, [&](const ColumnEntry& one_column) {
              return copied_column(*one_column.expr) == key.columns[i];
            });
        if (!goes_along || !ascii_iequals(key.parent_columns[i], column)) continue;
        const bool is_masked = std::ranges::any_of(other.masks, [&](const MaskEntry& mask) {
          return schema->own_spelling(mask.path) == key.columns[i] && mask.as == one.as;
        });
        if (is_masked) continue;
        diagnostics_.add(one.at,
                         fmt::format("{} refers to `{}` by `{}`, which would stay as it is",
                                     other.as, column, key.columns[i]),
                         fmt::format("mask that one in the same way, in {}", other.as));
      }
    }
  }
}

void NewIds::mask(const TableSchema& source, const std::vector<NamedReference>& references,
                  TableEntry& entry) const {
  for (const MaskEntry& one : entry.masks) {
    const std::optional<ColumnPath> found = own_path(source, one.path, one.at, false);
    if (!found) continue;
    const ColumnPath& path = *found;
    if (source.is_key(path.column)) {
      diagnostics_.add(one.at, fmt::format("`{}` is the key of {}", path.column, source.name),
                       "give it new ids with `ids:`");
      continue;
    }
    const auto reference = std::ranges::find_if(references, [&](const NamedReference& other) {
      return other.column == path.column && other.place.steps == path.steps;
    });
    if (reference != references.end() && !has_begun_) {
      diagnostics_.add(
          one.at,
          fmt::format("`{}` refers to {}, and would refer to nothing", one.path, reference->parent),
          "leave it out of `mask:`");
      continue;
    }
    if (path.steps.empty() && !has_begun_) mask_references(*called(entry.as), one, path.column);
    for (const ColumnEntry& other : entry.columns) {
      const std::vector<std::string> read = columns_of(*other.expr);
      if (std::ranges::count(read, path.column) == 0) continue;
      if (copied_column(*other.expr) == path.column) continue;
      diagnostics_.add(other.at,
                       fmt::format("this is made of `{}`, which `mask` is to hide", path.column),
                       "copy that column as it is, or leave this one out");
    }
    put_instead(entry, source, path.column, one.at, [&](const ExprPtr& of) {
      return make_expr(Masked{of, {path.steps, "", ""}, one.as});
    });
  }
}

bool NewIds::gets_new_values(const std::string& table, const std::string& column) const {
  const TableEntry* entry = called(table);
  const TableSchema* schema = schema_of(table);
  if (!plan_.ids || entry == nullptr || schema == nullptr) return false;
  if (gets_ids(table) && schema->own_spelling(plan_.ids->column) == column) return true;
  const std::vector<NamedReference> all = references_of(*entry, *schema);
  return std::ranges::any_of(all, [&](const NamedReference& one) {
    return one.column == column && is_remapped(one.parent);
  });
}

void NewIds::tell_what_is_not_followed(const TableEntry& entry,
                                       const std::vector<NamedReference>& references) const {
  if (has_begun_ || entry.group.empty() || entry.orphans == Orphans::keep || !plan_.only_copies()) {
    return;
  }
  for (const NamedReference& one : references) {
    const bool is_of_group = std::ranges::count(entry.group, one.column, &NamedPlace::name) > 0;
    const TableEntry& parent = *called(one.parent);
    const bool is_said = std::ranges::any_of(plan_.references, [&](const ReferenceEntry& said) {
      return said.column == one.said && matches(said.table, entry.as);
    });
    const bool may_be_gone =
        is_said || !parent.where.empty() || parent.limit || !plan_.sample.empty();
    if (is_of_group || !may_be_gone) continue;
    diagnostics_.add(entry.at,
                     fmt::format("{} refers to {} by `{}`, and what rows of a group hold is not "
                                 "followed",
                                 entry.as, parent.as, printable(one.column)),
                     "say `orphans: keep` to take it as it is, or copy the table without `group`");
  }
}

bool NewIds::is_hidden(const std::string& table, const std::string& column) const {
  const TableEntry* entry = called(table);
  const TableSchema* schema = schema_of(table);
  if (entry == nullptr || schema == nullptr) return false;
  return std::ranges::any_of(entry->masks, [&](const MaskEntry& one) {
    const Result<ColumnPath> path = column_path(one.path);
    return schema->own_spelling(one.path) == column ||
           (path.ok() && schema->own_spelling(path.value().column) == column);
  });
}

void NewIds::tell_what_comes_as_it_is(const TableEntry& entry) const {
  if (has_begun_) return;
  const auto tell = [&](const std::string& word, const std::string& table,
                        const std::string& column, Place at) {
    if (is_hidden(table, column)) {
      diagnostics_.add(at,
                       fmt::format("`{}` gives `{}` of {} as the source has it, which `mask` is to "
                                   "hide",
                                   word, printable(column), printable(table)),
                       "leave it out: only what a row itself holds is masked");
    }
    if (!gets_new_values(table, column)) return;
    diagnostics_.add(
        at,
        fmt::format("`{}` gives `{}` of {} as the source has it, and in this copy that "
                    "gets new ids",
                    word, printable(column), printable(table)),
        "leave it out: new ids are given to what a row itself holds");
  };
  for (const ColumnEntry& one : entry.columns) {
    for (const LookupEntry& lookup : one.lookups) {
      tell("lookup", lookup.table, lookup.take, lookup.at);
    }
    if (!one.collect) continue;
    for (const NamedPlace& value : one.collect->values)
      tell("collect", entry.as, value.name, value.at);
    tell("collect", entry.as, one.collect->by, one.at);
  }
}

NewIds::Found NewIds::of(const TableEntry& entry, TableSchema& source) const {
  Found found{entry, references_of(entry, source)};
  TableEntry& with = found.entry;
  if (plan_.ids) {
    const std::string id = source.own_spelling(plan_.ids->column);
    const bool is_of_another =
        std::ranges::any_of(found.references, [&](const NamedReference& one) {
          const bool is_its_own = one.parent == entry.as;
          return one.column == id && !is_its_own &&
                 (one.place.is_whole_value() || is_remapped(one.parent));
        });
    if (gets_ids(entry.as) && !is_of_another) {
      remap(source, {id, id, {}, entry.as}, with);
    }
  }
  for (const NamedReference& one : found.references) {
    const TableEntry& parent = *called(one.parent);
    const TableSchema* schema = schema_of(one.parent);
    const bool is_declared = std::ranges::any_of(source.foreign_keys, [&](const ForeignKey& key) {
      return key.columns == std::vector<std::string>{one.column};
    });
    const bool has_one_key = schema != nullptr && schema->key.size() == 1;
    if (!is_declared && one.place.is_whole_value() && has_one_key) {
      source.foreign_keys.push_back(
          {{one.column}, stored_name(parent), {schema->key.front()}, "", ""});
    }
    const std::vector<NamedReference> inside = inside_key_of(root_of(one.parent));
    for (const NamedReference& part : inside) {
      IdPlace place{one.place.steps, one.place.prefix + part.place.prefix,
                    part.place.suffix + one.place.suffix, one.place.others, one.place.other_steps};
      for (const auto& [prefix, suffix] : part.place.others) {
        place.others.emplace_back(one.place.prefix + prefix, suffix + one.place.suffix);
      }
      remap(source, {one.said, one.column, place, part.parent}, with);
    }
    if (!inside.empty()) continue;
    if (is_remapped(one.parent)) {
      remap(source, one, with);
    } else if (!source.rest_column.empty()) {  // named, so that it can be looked at
      put_instead(with, source, one.column, entry.at, [](const ExprPtr& of) { return of; });
    }
  }
  mask(source, found.references, with);
  tell_what_comes_as_it_is(entry);
  tell_what_is_not_followed(entry, found.references);
  return found;
}

}  // namespace whimbrel
