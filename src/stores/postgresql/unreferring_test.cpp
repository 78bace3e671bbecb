#include "stores/postgresql/unreferring.h"

#include <gtest/gtest.h>

namespace whimbrel::postgresql {
namespace {

TEST(Unreferring, LeavesOutWhateverSaysAForeignKey) {
  const std::pair<const char*, const char*> cases[] = {
      {"CREATE TABLE t (a int REFERENCES u, b int)", "CREATE TABLE t (a int , b int)"},
      {"CREATE TABLE t (a int NOT NULL CONSTRAINT x REFERENCES s.\"u v\" (id) MATCH FULL ON DELETE "
       "SET NULL (a) ON UPDATE CASCADE NOT DEFERRABLE INITIALLY IMMEDIATE DEFAULT 3)",
       "CREATE TABLE t (a int NOT NULL DEFAULT 3)"},
      {"CREATE TABLE t (a int, CONSTRAINT f FOREIGN KEY (a, b) REFERENCES u (c, d), CHECK (a > 0))",
       "CREATE TABLE t (a int, CHECK (a > 0))"},
      {"CREATE TABLE t (FOREIGN KEY (a) REFERENCES u, a int)", "CREATE TABLE t (a int)"},
      {"CREATE TABLE t (a int);\nALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u;\nCREATE INDEX i "
       "ON "
       "t (a);",
       "CREATE TABLE t (a int);\n;\nCREATE INDEX i ON t (a);"},
      {"CREATE TABLE t (\"references\" int DEFAULT 'references u', -- references u\n a int)",
       "CREATE TABLE t (\"references\" int DEFAULT 'references u', -- references u\n a int)"},
      {"CREATE TABLE t (a int REFERENCES u", "CREATE TABLE t (a int "},
      {"GRANT REFERENCES ON t TO x; ALTER TABLE t ADD COLUMN c int REFERENCES u, ADD COLUMN d int",
       "GRANT REFERENCES ON t TO x; ALTER TABLE t ADD COLUMN c int , ADD COLUMN d int"},
  };
  for (const auto& [with, without] : cases) EXPECT_EQ(without_foreign_keys(with), without);
}

}  // namespace
}  // namespace whimbrel::postgresql
