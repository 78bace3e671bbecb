#include "cutover/env_text.h"

#include <gtest/gtest.h>

#include <array>

namespace whimbrel {
namespace {

std::string after(const std::string& text, const std::string& name, const std::string& value) {
  EnvText env(text);
  env.set(name, value);
  EXPECT_TRUE(EnvText(env.text()).is(name, value)) << env.text();
  return env.text();
}

TEST(EnvText, IsWrittenAsItWasRead) {
  for (const char* text :
       {"", "\n", "A=1", "A=1\n", "# c\n\n  export A = 'x' # y\nB=\"a\nb\"\nno assignment\n\n",
        "A='not closed\nB=2\n", "A=1\r\nB=2\r\n", "=\n==\nexport\nA\n"}) {
    EXPECT_EQ(EnvText(text).text(), text);
  }
}

TEST(EnvText, ValuesAreWhatReadersFind) {
  const EnvText env(
      "A=1\n"
      "export B = two # a comment\n"
      "C='three # no comment'\n"
      "D=\"f\\\"o\\$ur\"\n"
      "E=\"over\ntwo lines\"\n"
      "F=\n"
      "G=x#y\n"
      "# H=1\n"
      "A=2\r\n");
  EXPECT_EQ(env.value("A"), "2");
  EXPECT_EQ(env.value("B"), "two");
  EXPECT_EQ(env.value("C"), "three # no comment");
  EXPECT_EQ(env.value("D"), "f\"o$ur");
  EXPECT_EQ(env.value("E"), "over\ntwo lines");
  EXPECT_EQ(env.value("F"), "");
  EXPECT_EQ(env.value("G"), "x#y");
  EXPECT_EQ(env.value("H"), std::nullopt);
  EXPECT_EQ(env.value(""), std::nullopt);
  EXPECT_FALSE(env.is("A", "2"));
}

TEST(EnvText, ASetValueKeepsEverythingAroundIt) {
  EXPECT_EQ(after("A=1\n# c\nB=2\n", "A", "new"), "A=new\n# c\nB=2\n");
  EXPECT_EQ(after("export A = '1' # why\n", "A", "n w"), "export A = 'n w' # why\n");
  EXPECT_EQ(after("A=\"1\"\n", "A", "new"), "A=\"new\"\n");
  EXPECT_EQ(after("A=1\r\nB=2\r\n", "A", "x"), "A=x\r\nB=2\r\n");
  EXPECT_EQ(after("A=1\nB=2\nA=3\n", "A", "x"), "A=x\nB=2\nA=x\n");
  EXPECT_EQ(after("A= # empty\n", "A", "x"), "A=x # empty\n");
}

TEST(EnvText, AValueIsQuotedWhereItHasToBe) {
  EXPECT_EQ(after("A=1\n", "A", "two words"), "A='two words'\n");
  EXPECT_EQ(after("A=1\n", "A", "it's $5"), "A=\"it's \\$5\"\n");
  EXPECT_EQ(after("A=\"1\"\n", "A", "$HOME"), "A='$HOME'\n");
  EXPECT_EQ(after("A='1'\n", "A", "it's"), "A=\"it's\"\n");
  EXPECT_EQ(after("A=1\n", "A", ""), "A=\n");
}

TEST(EnvText, ANewNameComesLast) {
  EXPECT_EQ(after("", "N", "1"), "N=1\n");
  EXPECT_EQ(after("A=1\n", "N", "1"), "A=1\nN=1\n");
  EXPECT_EQ(after("A=1", "N", "1"), "A=1\nN=1");
  EXPECT_EQ(after("A=1\r\n", "N", "1"), "A=1\r\nN=1\r\n");
}

TEST(EnvText, GoesBackToTheLetter) {
  const std::array<std::string, 3> names = {"NEW", "OLD", "GONE"};
  for (const std::string text :
       {"x=1\nOLD='a' # c\ny=2\nGONE=b\nz=3\nGONE=c\n", "GONE=\"1\n2\"\nOLD=3", "z=1\n",
        "OLD=1\r\nGONE=2\r\n", "TABLE=t\r\nLAST=1", "LAST=1\r\nOLD=2"}) {
    EnvText env(text);
    const std::vector<EnvText::Line> lines = env.lines_of(names);
    env.set("NEW", "n");
    env.set("OLD", "m");
    env.unset("GONE");
    EXPECT_FALSE(env.value("GONE"));
    EnvText back(env.text());
    back.put_back(names, lines);
    back.put_back(names, lines);
    EXPECT_EQ(back.text(), text);
  }
}

TEST(EnvText, GoingBackKeepsWhatOthersHaveWritten) {
  const std::array<std::string, 2> names = {"NEW", "OLD"};
  EnvText env("a=1\nOLD=x\nb=2\n");
  const std::vector<EnvText::Line> lines = env.lines_of(names);
  EnvText now("b=3\nNEW=y\nc=4\n");
  now.put_back(names, lines);
  EXPECT_EQ(now.text(), "b=3\nOLD=x\nc=4\n");
}

}  // namespace
}  // namespace whimbrel
