#include "plan/open_tables.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

using Names = std::vector<std::string>;

TableSchema table(const Names& columns, bool is_open) {
  TableSchema schema;
  for (const std::string& name : columns) {
    ColumnSchema column;
    column.name = name;
    schema.columns.push_back(column);
  }
  schema.key = {columns.front()};
  if (is_open) {
    ColumnSchema rest;
    rest.name = schema.rest_column = "*";
    schema.columns.push_back(rest);
  }
  return schema;
}

TableEntry entry(const std::vector<std::pair<std::string, ExprPtr>>& columns, const Names& same,
                 Rest rest) {
  TableEntry entry;
  for (const auto& [name, expr] : columns) entry.columns.push_back({name, expr, {}, {}});
  for (const std::string& name : same) entry.same.push_back({name, {}});
  entry.rest = rest;
  return entry;
}

ExprPtr column(const std::string& name) { return make_expr(ColumnRef{name}); }

TEST(OpenTables, GetAColumnForEachNameBeforeTheRest) {
  TableSchema source = table({"id"}, true);
  TableSchema target = table({"key"}, true);
  const TableEntry plan = entry(
      {{"key", column("id")}, {"label", make_expr(Template{{column("first"), column("last")}})}},
      {"created"}, Rest::drop);
  open_up(plan, source, target);
  EXPECT_EQ(source.column_names(), (Names{"id", "created", "first", "last", "*"}));
  EXPECT_EQ(target.column_names(), (Names{"key", "created", "label", "*"}));
  EXPECT_FALSE(rest_must_be_empty(plan, source, target));
}

TEST(OpenTables, AreCaseSensitive) {
  TableSchema source = table({"id"}, true);
  TableSchema target = table({"id"}, true);
  open_up(entry({}, {"ID"}, Rest::drop), source, target);
  EXPECT_EQ(source.column_names(), (Names{"id", "ID", "*"}));
}

TEST(OpenTables, KeysOfIndexesKeepTheirNamesUnderRestCopy) {
  TableSchema source = table({"id", "by_user"}, true);
  TableSchema target = table({"id", "by_day"}, true);
  open_up(entry({}, {}, Rest::copy), source, target);
  EXPECT_EQ(source.column_names(), (Names{"id", "by_user", "by_day", "*"}));
  EXPECT_EQ(target.column_names(), (Names{"id", "by_day", "by_user", "*"}));
}

TEST(OpenTables, AClosedSourceGivesTheTargetItsColumns) {
  TableSchema source = table({"id", "old", "plain"}, false);
  TableSchema target = table({"id"}, true);
  const TableEntry plan = entry({{"new", column("old")}}, {}, Rest::copy);
  open_up(plan, source, target);
  EXPECT_EQ(source.column_names(), (Names{"id", "old", "plain"}));
  EXPECT_EQ(target.column_names(), (Names{"id", "new", "plain", "*"}));
  EXPECT_FALSE(rest_must_be_empty(plan, source, target));
}

TEST(OpenTables, WhatAClosedTargetHasNoColumnForMayNotBeThere) {
  TableSchema source = table({"id"}, true);
  TableSchema target = table({"id", "name"}, false);
  const TableEntry plan = entry({}, {}, Rest::copy);
  open_up(plan, source, target);
  EXPECT_EQ(source.column_names(), (Names{"id", "name", "*"}));
  EXPECT_EQ(target.column_names(), (Names{"id", "name"}));
  EXPECT_TRUE(rest_must_be_empty(plan, source, target));
  EXPECT_TRUE(rest_must_be_empty(entry({}, {"id"}, Rest::forbid), source, target));
  EXPECT_FALSE(rest_must_be_empty(entry({}, {"id"}, Rest::drop), source, target));
}

}  // namespace
}  // namespace whimbrel
