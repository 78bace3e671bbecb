#include "plan/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace whimbrel {

bool is_pattern(std::string_view name) { return name.find('*') != std::string_view::npos; }

bool matches(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (std::size_t at = star; at <= name.size(); ++at) {
    if (matches(rest, name.substr(at))) return true;
  }
  return false;
}

namespace {

constexpr std::string_view place_of_name = "{name}";

std::string with_name(const std::string& address, const std::string& name) {
  return with_replaced(address, place_of_name, name);
}

// What stands for `{name}` where a table's name is of this form; empty where it is of none.
std::string name_in(const std::string& form, const std::string& table) {
  const std::size_t place = form.find(place_of_name);
  if (place == std::string::npos) return "";
  const std::string before = form.substr(0, place);
  const std::string after = form.substr(place + place_of_name.size());
  const bool fits = table.size() > before.size() + after.size() && table.starts_with(before) &&
                    table.ends_with(after);
  if (!fits) return "";
  return table.substr(before.size(), table.size() - before.size() - after.size());
}

class NamedTables {
 public:
  NamedTables(const PlanFile& plan, const std::map<std::string, std::shared_ptr<Store>>& stores,
              const std::optional<KnownTables>& begun_with, Diagnostics& diagnostics)
      : plan_(plan), stores_(stores), begun_with_(begun_with), diagnostics_(diagnostics) {}

  // A line with `{name}` is as many tables. What came after the migration had begun is none of it.
  Result<std::vector<TableEntry>> expand() {
    if (plan_.tables.empty()) return entries_;
    std::set<std::string> named;  // by alias/table: a pattern leaves to others what they name
    for (const TableEntry& entry : plan_.tables) {
      if (entry.names.empty()) named.insert(entry.from.alias + "/" + entry.from.table);
      for (const NamedPlace& one : entry.names) {
        if (!is_pattern(one.name)) {
          named.insert(entry.from.alias + "/" + with_name(entry.from.table, one.name));
        }
      }
    }
    for (const TableEntry& entry : plan_.tables) {
      if (entry.names.empty()) {
        entries_.push_back(entry);
        call_as_its_like(entries_.back());
      } else if (stores_.contains(entry.from.alias)) {
        TRY(expand(entry, named));
      }
    }
    for (const TableEntry& entry : entries_) {
      could_be_.erase(entry.from.alias + "/" + entry.from.table);
      could_be_.erase(entry.to.alias + "/" + entry.to.table);
    }
    std::set<std::string> called;
    for (const TableEntry& entry : entries_) {
      if (called.insert(entry.as).second) continue;
      diagnostics_.add(entry.at, fmt::format("two tables are called `{}`", entry.as),
                       "give one of them `as:`, or take it out of one line of `names` with `!`");
    }
    const TableEntry& first = plan_.tables.front();
    if (entries_.empty() && begun_with_ && !begun_with_->sources.empty()) {
      diagnostics_.add(first.from.at, "the plan means none of the tables that it has begun with",
                       "look at what the stores' addresses lead to");
    }
    if (entries_.empty() && !begun_with_ && diagnostics_.mistakes().empty()) {
      diagnostics_.add(first.from.at,
                       fmt::format("no table of {} is meant by `names:`", first.from.alias),
                       "look at what stands around `{name}`, and at what `!` takes out");
    }
    return std::move(entries_);
  }

  std::vector<std::string> not_taken() const { return {could_be_.begin(), could_be_.end()}; }

 private:
  // A table with a line of its own, beside a line that would take it: it is called what it would be
  // called there, for ids are made of the name, and references name it.
  void call_as_its_like(TableEntry& entry) const {
    const bool is_named = std::ranges::any_of(plan_.references, [&](const ReferenceEntry& one) {
      return one.parent == entry.from.table || one.table == entry.from.table;
    });
    if (entry.is_called || is_named) return;
    for (const TableEntry& like : plan_.tables) {
      const std::string name = name_in(like.from.table, entry.from.table);
      const bool is_like = !like.names.empty() && !name.empty() &&
                           like.from.alias == entry.from.alias && like.to.alias == entry.to.alias &&
                           name == name_in(like.to.table, entry.to.table);
      if (!is_like) continue;
      entry.as = name + (entry.item > 0 ? fmt::format("#{}", entry.item + 1) : "");
      return;
    }
  }

  // The journal knows a table by all of its name.
  bool is_one_of(const TableEntry& entry, const std::string& usual) const {
    if (!begun_with_) return true;
    const std::string whole = ascii_lower(entry.from.alias + "/" + usual + entry.from.table);
    return begun_with_->sources.contains(entry.from.place()) ||
           begun_with_->sources.contains(whole);
  }

  // Tables are known by their place among the others: one that is gone since keeps its own.
  std::vector<std::string> with_those_begun_with(std::vector<std::string> there,
                                                 const std::string& alias) const {
    if (!begun_with_) return there;
    for (const auto& [place, source] : begun_with_->sources) {
      if (!source.address.starts_with(alias + "/")) continue;
      std::string name = source.address.substr(alias.size() + 1);
      if (std::ranges::count(there, name) == 0) there.push_back(std::move(name));
    }
    return there;
  }

  Status expand(const TableEntry& entry, const std::set<std::string>& named) {
    const std::size_t place = entry.from.table.find(place_of_name);
    if (place == std::string::npos) return {};
    if (entry.from.table.find(place_of_name, place + 1) != std::string::npos) {
      diagnostics_.add(entry.from.at, "`{name}` stands twice in `from`", "say it once");
      return {};
    }
    const std::string before = entry.from.table.substr(0, place);
    const std::string after = entry.from.table.substr(place + place_of_name.size());
    ASSIGN_OR_RETURN(const std::vector<std::string> tables,
                     stores_.at(entry.from.alias)->catalog().tables());
    ASSIGN_OR_RETURN(const std::vector<std::string> plain_tables,
                     stores_.at(entry.from.alias)->catalog().plain_tables());
    // A name without a schema is called so however the store lists it.
    const bool says_schema = before.find('.') != std::string::npos;
    ASSIGN_OR_RETURN(const std::string usual,
                     stores_.at(entry.from.alias)->catalog().usual_schema());
    std::set<std::string> of_usual;  // names of its tables, where `from` says no schema
    const auto names_among = [&](const std::vector<std::string>& all) {
      std::set<std::string> names;
      for (std::string table : all) {
        const bool is_usual = !says_schema && !usual.empty() && table.starts_with(usual);
        if (is_usual) table.erase(0, usual.size());
        if (is_usual) of_usual.insert(table);
        std::string name = name_in(entry.from.table, table);
        if (!name.empty()) names.insert(std::move(name));
      }
      return names;
    };
    const std::set<std::string> there = names_among(tables);
    const std::set<std::string> plain =
        names_among(with_those_begun_with(plain_tables, entry.from.alias));
    for (const std::string& name : plain) {
      const bool is_left_out = std::ranges::any_of(entry.names, [&](const NamedPlace& one) {
        return one.name.starts_with("!") && matches(one.name.substr(1), name);
      });
      if (!is_left_out) could_be_.insert(entry.from.alias + "/" + before + name + after);
    }
    std::vector<std::string> chosen;
    const auto choose = [&](const std::string& name) {
      if (std::ranges::count(chosen, name) == 0) chosen.push_back(name);
    };
    // One that comes first would take nothing out: it is of what follows.
    const auto first_taken = std::ranges::find_if(
        entry.names, [](const NamedPlace& one) { return !one.name.starts_with("!"); });
    std::vector<NamedPlace> in_turn(first_taken, entry.names.end());
    in_turn.insert(in_turn.end(), entry.names.begin(), first_taken);
    // `public.users` is what the store lists as well, and `public.*` means no table of another
    // schema.
    const auto fits = [&](const std::string& pattern, const std::string& name) {
      return matches(pattern, name) || (of_usual.contains(name) && matches(pattern, usual + name));
    };
    for (NamedPlace& one : in_turn) {
      const bool says_usual = !says_schema && !usual.empty() && one.name.starts_with(usual);
      if (says_usual && !is_pattern(one.name)) one.name.erase(0, usual.size());
      if (one.name.starts_with("!")) {
        std::erase_if(chosen,
                      [&](const std::string& name) { return fits(one.name.substr(1), name); });
      } else if (is_pattern(one.name)) {
        for (const std::string& name : plain) {
          const bool is_others = named.contains(entry.from.alias + "/" + before + name + after);
          const bool is_this_ones = std::ranges::count(chosen, name) > 0;
          if (fits(one.name, name) && !is_others && !is_this_ones) choose(name);
        }
      } else if (there.contains(one.name) || begun_with_) {
        choose(one.name);
      } else {
        const std::string near = did_you_mean(one.name, {there.begin(), there.end()});
        diagnostics_.add(
            one.at, fmt::format("there is no table `{}`", printable(before + one.name + after)),
            near.empty() ? "take it out of `names`, or make that table" : near);
      }
    }
    for (const std::string& name : chosen) {
      TableEntry made = entry;
      made.as = name + (entry.item > 0 ? fmt::format("#{}", entry.item + 1) : "");
      made.names.clear();
      made.from.table = with_name(entry.from.table, name);
      made.to.table = with_name(entry.to.table, name);
      if (is_one_of(made, says_schema ? "" : usual)) entries_.push_back(std::move(made));
    }
    return {};
  }

  const PlanFile& plan_;
  const std::map<std::string, std::shared_ptr<Store>>& stores_;
  const std::optional<KnownTables>& begun_with_;
  Diagnostics& diagnostics_;
  std::vector<TableEntry> entries_;
  std::set<std::string> could_be_;
};

}  // namespace

Result<std::vector<TableEntry>> tables_by_name(
    const PlanFile& plan, const std::map<std::string, std::shared_ptr<Store>>& stores,
    const std::optional<KnownTables>& begun_with, Diagnostics& diagnostics,
    std::vector<std::string>& not_taken) {
  NamedTables tables(plan, stores, begun_with, diagnostics);
  ASSIGN_OR_RETURN(std::vector<TableEntry> entries, tables.expand());
  if (!begun_with) not_taken = tables.not_taken();
  return entries;
}

}  // namespace whimbrel
