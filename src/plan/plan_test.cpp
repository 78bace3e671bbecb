#include <fmt/format.h>
#include <gtest/gtest.h>

#include "plan/diagnostics.h"
#include "plan/plan_file.h"

namespace whimbrel {
namespace {

struct Parsed {
  PlanFile plan;
  std::string error;  // the whole text a person reads, or ""
};

Parsed parse(const std::string& text, const std::map<std::string, std::string>& variables = {}) {
  Diagnostics diagnostics("plan.yaml", text);
  Parsed parsed;
  parsed.plan = parse_plan({"plan.yaml", text}, variables, diagnostics);
  if (!diagnostics.empty()) parsed.error = to_text(diagnostics.error());
  return parsed;
}

const std::string head =
    "whimbrel: 1\n"
    "migration: m\n"
    "stores: {db: \"any:x\"}\n";
const std::string tables = "tables: [{from: db/a, to: db/b}]\n";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PlanMistakes, AreAllToldAtOnceWithTheirPlaces) {
  const Parsed parsed = parse(head + tables + "snyc: dual\nlimits: {batch_size: 0}\n");
  EXPECT_TRUE(has(parsed.error, "the plan has 2 mistakes")) << parsed.error;
  EXPECT_TRUE(has(parsed.error, "a plan has no key `snyc`"));
  EXPECT_TRUE(has(parsed.error, "at plan.yaml:5:1"));
  EXPECT_TRUE(has(parsed.error, "did you mean `sync`?"));
  EXPECT_TRUE(has(parsed.error, "`batch_size` must be a whole number from 1 on"));
  EXPECT_TRUE(has(parsed.error, "at plan.yaml:6:22"));
}

TEST(PlanMistakes, ACaretPointsAtThePlace) {
  const Parsed parsed = parse(head + tables + "sync: duel\n");
  EXPECT_TRUE(has(parsed.error, "      5 | sync: duel\n        |       ^~~~")) << parsed.error;
  EXPECT_TRUE(has(parsed.error, "did you mean `dual`?"));
}

TEST(PlanMistakes, APasswordIsLeftOutOfTheLineThatIsShown) {
  const auto shown = [](const std::string& stores, const Place& at) {
    return Diagnostics("plan.yaml", "whimbrel: 1\n" + stores + "\n").excerpt(at);
  };
  for (const char* url :
       {"any://me:se@c:ret/x@h/d", "any://h/d?password=secret@ret&user=me",
        "any://me:se\\\"cret@h/d?sslpassword=secret", "any://me:?secret@h:1,g:2/d"}) {
    for (const char* quote : {"\"", ""}) {
      const std::string text = fmt::format("stores: {{a: {0}{1}{0}}}", quote, url);
      EXPECT_FALSE(has(shown(text, {2, 13, 20}), "ret")) << shown(text, {2, 13, 20});
    }
  }
  EXPECT_TRUE(has(shown("stores: {a: \"any://me:secret@h/d\", b: \"any:x\"}", {2, 40, 7}),
                  "      2 | stores: {a: \"any://me:***@h/d\", b: \"any:x\"}\n"
                  "        |                                     ^~~~~~~"));
}

TEST(PlanMistakes, WhatARehearsalAndABackupCannotBeIsNamed) {
  const Parsed parsed = parse(head + tables + "rehearsal: {}\nbackup: {to: \"s3:b\"}\n");
  EXPECT_TRUE(has(parsed.error, "`rehearsal` cannot be"));
  EXPECT_TRUE(has(parsed.error, "`s3:b` names no bucket"));
}

TEST(PlanMistakes, AKeySaidTwiceIsNoticed) {
  const Parsed parsed = parse(head + tables + "sync: dual\nsync: capture\n");
  EXPECT_TRUE(has(parsed.error, "`sync` is said twice in a plan")) << parsed.error;
}

TEST(PlanMistakes, BrokenYamlHasAPlace) {
  const Parsed parsed = parse(head + "tables: [{from: db/a, to: db/b\n");
  EXPECT_TRUE(has(parsed.error, "this is no YAML")) << parsed.error;
  EXPECT_TRUE(has(parsed.error, "plan.yaml:"));
}

TEST(PlanMistakes, AStoreThatNobodyNamedIsNoticed) {
  const Parsed parsed = parse(head + "tables: [{from: dv/a, to: db/b}]\n");
  EXPECT_TRUE(has(parsed.error, "no store is called `dv`"));
  EXPECT_TRUE(has(parsed.error, "did you mean `db`?"));
}

TEST(PlanVariables, ComeFromTheCommandLineThenDefaultsThenTheEnvironment) {
  const std::string text =
      "whimbrel: 1\nmigration: m-${WHIMBREL_TEST_A}\nvars: {WHIMBREL_TEST_A: {default: two}}\n"
      "stores: {db: \"any:x\"}\n" +
      tables;
  EXPECT_EQ(parse(text).plan.migration, "m-two");
  EXPECT_EQ(parse(text, {{"WHIMBREL_TEST_A", "one"}}).plan.migration, "m-one");
}

TEST(PlanVariables, AnUnsetOneIsAnErrorWithItsPlace) {
  const Parsed parsed =
      parse("whimbrel: 1\nmigration: m\nstores: {db: \"any:${WHIMBREL_UNSET}\"}\n" + tables);
  EXPECT_TRUE(has(parsed.error, "the variable WHIMBREL_UNSET is not set"));
  EXPECT_TRUE(has(parsed.error, "at plan.yaml:3:")) << parsed.error;
}

ExprPtr value_of(const std::string& value, std::string* error = nullptr) {
  const Parsed parsed =
      parse(head + "tables:\n  - from: db/a\n    to: db/b\n    columns:\n      c: " + value + "\n");
  if (error != nullptr) *error = parsed.error;
  if (parsed.plan.tables.empty() || parsed.plan.tables[0].columns.empty()) return nullptr;
  return parsed.plan.tables[0].columns[0].expr;
}

TEST(PlanValues, AreReadAsTheGrammarSays) {
  const std::pair<const char*, const char*> cases[] = {
      {"name", "name"},
      {"12", "12"},
      {"null", "null"},
      {"{const: text}", "'text'"},
      {"'A#{id}'", "text 'A#', id"},
      {"'{{{id|lower}}}'", "text '{', lower(id), '}'"},
      {R"('{"a}|""b"|trim}-{"""c"""}')", "text trim(a}|\"b), '-', \"c\""},
      {"{from: a, if_null: {const: b}}", "a, if null 'b'"},
      {"{json: {}}", "{}"},
      {"{json: {x: a, y: [1, b]}}", "json {x: a, y: json [1, b]}"},
      {"{cast: a, to: integer}", "a as integer"},
      {"{extract: 'doc.a.b[0]'}", "$.\"a\".\"b\"[0] of doc"},
      {"{coalesce: [a, b, {const: c}]}", "coalesce(a, b, 'c')"},
      {"{split: a, by: '-', part: 2}", "part 2 of a"},
      {"{time: a, from: iso8601, as: epoch_s}", "time of a"},
  };
  for (const auto& [text, described] : cases) {
    std::string error;
    const ExprPtr expr = value_of(text, &error);
    ASSERT_TRUE(expr) << text << "\n" << error;
    EXPECT_EQ(describe(*expr), described) << text;
    EXPECT_EQ(error, "") << text;
  }
}

TEST(PlanValues, MistakesInThemAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"{cats: a, to: text}", "there is no function `cats`"},
      {"'{id'", "a `{` is not closed"},
      {"'{id|lowr}'", "did you mean `lower`?"},
      {"{cast: a}", "`cast` needs `to:`"},
      {"{time: a, as: epoch_s}", "`time` needs `from:` and `as:`"},
      {"{ref: a}", "`ref` is part of the grammar, but not yet"},
      {"{lookup: a, in: b}", "`by:` is missing"},
      {"{cast: {collect: a, by: c}, to: text}", "`collect` is no part of another value"},
      {"[a, b]", "a list is no value"},
  };
  for (const auto& [text, message] : cases) {
    std::string error;
    (void)value_of(text, &error);
    EXPECT_TRUE(has(error, message)) << text << "\n" << error;
  }
}

const std::string with_variants =
    "whimbrel: 1\n"
    "migration: m-${env}\n"
    "vars: {env: {one_of: [dev, prod, test]}}\n"
    "variant: ${env}\n"
    "stores: {db: \"any:x\"}\n"
    "tables: [{from: db/a, to: db/b}]\n"
    "limits: {batch_size: 10, workers: 3}\n"
    "finish: {after: 1d, keep_source: false}\n"
    "variants:\n"
    "  dev: {limits: {batch_size: 20}, backup: none}\n"
    "  prod:\n"
    "    protect: production\n"
    "    finish: {after: 7d}\n"
    "    tables: [{from: db/c, to: db/d}]\n"
    "    limits: {batch_size: none}\n"
    "  empty:\n";

TEST(PlanVariants, AreMergedOverTheRest) {
  const Parsed dev = parse(with_variants, {{"env", "dev"}});
  EXPECT_EQ(dev.error, "");
  EXPECT_EQ(dev.plan.limits.batch_size, 20);
  EXPECT_EQ(dev.plan.limits.workers, 3);
  EXPECT_EQ(dev.plan.finish.after, Milliseconds(86'400'000));
  EXPECT_FALSE(dev.plan.production);
  EXPECT_FALSE(has(dev.plan.resolved, "variants")) << dev.plan.resolved;
  EXPECT_TRUE(has(dev.plan.resolved, "\"batch_size\":\"20\"")) << dev.plan.resolved;
  EXPECT_EQ(dev.plan.migration, "m-dev");
}

TEST(PlanVariants, ReplaceListsAndKeepTheirOwnPlaces) {
  const Parsed prod = parse(with_variants, {{"env", "prod"}});
  EXPECT_TRUE(has(prod.error, "`batch_size` must be a whole number from 1 on")) << prod.error;
  EXPECT_TRUE(has(prod.error, "at plan.yaml:15:26")) << prod.error;
  EXPECT_TRUE(prod.plan.production);
  EXPECT_FALSE(prod.plan.finish.keep_source);
  ASSERT_EQ(prod.plan.tables.size(), 1U);
  EXPECT_EQ(prod.plan.tables[0].as, "c");
  EXPECT_EQ(prod.plan.tables[0].at.line, 14);
}

TEST(PlanVariants, AnUnknownOneIsAMistakeWithTheKnownOnes) {
  const Parsed parsed = parse(with_variants, {{"env", "test"}});
  EXPECT_TRUE(has(parsed.error, "the plan has no variant `test`")) << parsed.error;
  EXPECT_TRUE(has(parsed.error, "its variants: dev, prod, empty"));
  EXPECT_TRUE(has(parsed.error, "at plan.yaml:4:10"));
}

TEST(PlanVariants, AVariableThatIsNotSetIsToldOnce) {
  const Parsed parsed = parse(with_variants);
  EXPECT_TRUE(has(parsed.error, "the variable env is not set, and must be one of dev, prod, test"))
      << parsed.error;
  EXPECT_TRUE(has(parsed.error, "say `--var env=dev`"));
  EXPECT_FALSE(has(parsed.error, "no variant"));
}

TEST(PlanVariants, AMisspeltKeyIsNoticedInThoseThatAreNotMeant) {
  const Parsed parsed = parse(head + tables + "variant: a\nvariants: {a: , b: {limist: {}}}\n");
  EXPECT_TRUE(has(parsed.error, "the variant `b` has no key `limist`")) << parsed.error;
  EXPECT_TRUE(has(parse(head + tables + "variants: {a: }\n").error, "which of them is meant"));
  EXPECT_TRUE(has(parse(head + tables + "variant: a\n").error, "has no variants to choose from"));
}

TEST(PlanVariants, AnAliasThatIsMergedIsNotChangedElsewhere) {
  const Parsed parsed = parse(head + tables +
                              "variant: b\nlimits: &all {workers: 2}\nvariants: {a: {limits: "
                              "*all}, b: {limits: {rcu: 5}}}\n");
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.plan.limits.workers, 2);
  EXPECT_EQ(parsed.plan.limits.rcu, 5);
}

TEST(PlanCutover, WithoutAHoldSaysWhatBecomesOfStragglers) {
  const Parsed parsed = parse(head + tables +
                              "cutover: {hold: none, stragglers: {quiet: 60s, conflicts: "
                              "keep_new}, hours: \"22:00-05:30\"}\n");
  EXPECT_EQ(parsed.error, "");
  EXPECT_TRUE(parsed.plan.hold_none);
  EXPECT_EQ(parsed.plan.stragglers_quiet, Milliseconds(60'000));
  EXPECT_FALSE(parsed.plan.stragglers_stop);
  ASSERT_TRUE(parsed.plan.hours);
  EXPECT_EQ(parsed.plan.hours->from, 22 * 60);
  EXPECT_EQ(parsed.plan.hours->to, 5 * 60 + 30);
}

TEST(PlanCutover, WhatIsWrongTogetherIsTold) {
  const std::pair<const char*, const char*> cases[] = {
      {"sync: dual\ncutover: {hold: none}\n", "under `sync: dual` nobody is held anyway"},
      {"sync: none\ncutover: {hold: none, window: {max: 1h}}\n",
       "under `sync: none` writers have to be held"},
      {"cutover: {stragglers: {quiet: 1s}}\n", "add `hold: none`"},
      {"cutover: {hold: all}\n", "`hold` cannot be `all`"},
      {"cutover: {hours: \"22-05\"}\n", "`hours` must be two times of the day"},
      {"cutover: {hours: \"22:00-25:00\"}\n", "`hours` must be two times of the day"},
      {"cutover: {hours: \"22:00-22:00\"}\n", "`hours` must be two times of the day"},
      {"limits: {share: 150%}\n", "`share` must be a percentage, up to 100%"},
      {"limits: {rcu: 0}\n", "`rcu` must be a number greater than 0"},
  };
  for (const auto& [text, message] : cases) {
    const Parsed parsed = parse(head + tables + text);
    EXPECT_TRUE(has(parsed.error, message)) << text << parsed.error;
  }
}

TEST(PlanLimits, CountCapacity) {
  const Parsed parsed = parse(head + tables + "limits: {rcu: 100, wcu: 50.5, share: 50%}\n");
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.plan.limits.rcu, 100);
  EXPECT_EQ(parsed.plan.limits.wcu, 50.5);
  EXPECT_EQ(parsed.plan.limits.share, 0.5);
}

TEST(PlanHealth, IsKeptWithItsTable) {
  const Parsed parsed =
      parse(head +
            "tables: [{from: db/a, to: db/b, health: {newest: at, groups: status, stuck: {where: "
            "{status: [waiting, 3], kind: x}, for: 1h}}}]\n");
  EXPECT_EQ(parsed.error, "");
  ASSERT_TRUE(parsed.plan.tables.at(0).health);
  const HealthPlan& health = *parsed.plan.tables[0].health;
  EXPECT_EQ(health.newest, "at");
  EXPECT_EQ(health.groups, "status");
  ASSERT_EQ(health.stuck.size(), 2U);
  EXPECT_EQ(health.stuck[0].second.size(), 2U);
  EXPECT_EQ(health.stuck_for, Milliseconds(3'600'000));
  const Parsed wrong =
      parse(head + "tables: [{from: db/a, to: db/b, health: {stuck: {where: {a: b}, for: 1h}}}]\n");
  EXPECT_TRUE(has(wrong.error, "`stuck` needs `newest:`")) << wrong.error;
}

TEST(PlanSwitches, ThatNeedNoStoreAreRead) {
  const Parsed parsed = parse(head + tables +
                                  "cutover:\n  switches:\n"
                                  "    - {lambda: [f, g], set: {NEW: \"x-${env}\"}, unset: [OLD]}\n"
                                  "    - {lambda: f, unset: [OLD]}\n"
                                  "    - {env_file: app.env, set: {PORT: 80, EMPTY: \"\"}}\n"
                                  "    - {ssm: /app/table, set: new}\n"
                                  "    - {file: flag, set: on}\n",
                              {{"env", "hidden-word"}});
  EXPECT_EQ(parsed.error, "");
  ASSERT_EQ(parsed.plan.switches.size(), 5U);
  const auto& lambda = std::get<LambdaSwitch>(*parsed.plan.switches[0].setting);
  EXPECT_EQ(lambda.functions, (std::vector<std::string>{"f", "g"}));
  EXPECT_EQ(lambda.values.set.at(0).second, "x-hidden-word");
  const auto& file = std::get<EnvFileSwitch>(*parsed.plan.switches[2].setting);
  EXPECT_EQ(file.values.set.at(0).second, "80");
  EXPECT_TRUE(file.path.starts_with("/")) << file.path;
  EXPECT_TRUE(file.path.ends_with("/app.env")) << file.path;
  // A value that comes from a variable may be a secret.
  EXPECT_FALSE(has(parsed.plan.resolved, "hidden-word")) << parsed.plan.resolved;
  EXPECT_TRUE(has(parsed.plan.resolved, "\"PORT\":\"80\""));
}

TEST(PlanSwitches, MistakesInThemAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"{lambda: [], set: {A: b}}", "`lambda` names no function"},
      {"{lambda: [f, f], set: {A: b}}", "the function `f` is named twice"},
      {"{lambda: f}", "a switch needs `set:` or `unset:`"},
      {"{lambda: f, set: {1A: b}}", "`1A` is no name of a variable"},
      {"{lambda: f, set: {A: b}, unset: [A]}", "`A` is named twice in one switch"},
      {"{lambda: f, set: {A: }}", "`A` gets no value"},
      {"{env_file: f, unset: A}", "`unset` must be a list"},
      {"{env_file: f, sets: {A: b}}", "did you mean `set`?"},
      {"{ssm: p}", "a parameter switch needs `set:`"},
      {"{http: \"https://x\"}", "a request that only asks switches nothing"},
      {"{lambda_concurrency: f}", "reserved concurrency needs `set:`"},
  };
  for (const auto& [text, message] : cases) {
    const Parsed parsed = parse(head + tables + "cutover: {switches: [" + text + "]}\n");
    EXPECT_TRUE(has(parsed.error, message)) << text << "\n" << parsed.error;
  }
}

TEST(PlanChecks, AreReadByTheirKind) {
  const Parsed parsed = parse(head + tables +
                              "checks:\n"
                              "  - {at: after, new_rows: a, within: 10m}\n"
                              "  - {at: watch, metric: AWS/Lambda Errors, of: f, below: 1}\n"
                              "  - {sql: SELECT 1, expect: 1}\n");
  EXPECT_EQ(parsed.error, "");
  ASSERT_EQ(parsed.plan.checks.size(), 3U);
  EXPECT_EQ(parsed.plan.checks[0].new_rows, "a");
  EXPECT_EQ(parsed.plan.checks[0].within, Milliseconds(600'000));
  EXPECT_EQ(parsed.plan.checks[0].name, "new rows of a");
  EXPECT_EQ(parsed.plan.checks[1].metric, "AWS/Lambda Errors");
  EXPECT_EQ(parsed.plan.checks[1].metric_of, "f");
  EXPECT_EQ(parsed.plan.checks[1].below, 1);
}

TEST(PlanChecks, MistakesInThemAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"{sql: x, command: [y], expect: 1}", "a check is one of"},
      {"{at: after}", "a check is one of"},
      {"{sql: x}", "an sql check needs `expect:` or `below:`"},
      {"{sql: x, below: many}", "`below` must be a number"},
      {"{new_rows: b}", "the plan moves no table `b`"},
      {"{at: held, new_rows: a}", "the application writes to the new side only after the switch"},
      {"{at: watch, metric: Errors, below: 1}", "`Errors` is no metric"},
      {"{at: watch, metric: AWS/Lambda Errors}", "a metric needs `below:`"},
      {"{metric: AWS/Lambda Errors, below: few}", "`below` must be a number"},
      {"{http: x.org}", "`x.org` is no URL of a web service"},
      {"{http: \"https://u:pw@\"}", "`https://***@` is no URL"},
      {"{http: \"https://x\", expect: up}", "what an http check expects is a map"},
      {"{http: \"https://x\", expect: {status: 99}}", "`status`"},
      {"{sql: x, expect: 1, post: {a: 1}}", "`post` belongs to `http`"},
      {"{sql: x, expect: 1, within: 5m}", "`within` belongs to `new_rows`"},
  };
  for (const auto& [text, message] : cases) {
    const Parsed parsed = parse(head + tables + "checks: [" + text + "]\n");
    EXPECT_TRUE(has(parsed.error, message)) << text << "\n" << parsed.error;
  }
}

TEST(PlanChecks, AnHttpCheckTellsWhatIsWrittenAndSendsWhatIsFilledIn) {
  const Parsed parsed =
      parse("whimbrel: 1\nmigration: m\nstores: {db: \"any:x\"}\n" + tables +
            "vars: {key: {default: long-enough}}\n"
            "checks:\n"
            "  - {http: \"https://me:pw@x/y?k=${key}\", post: {q: \"${key}\", n: [1, true]},\n"
            "     expect: {status: 201, json: {up: true, by: \"7\"}}, within: 2s}\n");
  EXPECT_EQ(parsed.error, "");
  ASSERT_EQ(parsed.plan.checks.size(), 1U);
  const CheckPlan& check = parsed.plan.checks[0];
  ASSERT_TRUE(check.http);
  EXPECT_EQ(check.name, "POST https://***@x/y?k=${key}");
  EXPECT_EQ(check.http->url, "https://me:pw@x/y?k=long-enough");
  EXPECT_EQ(check.http->body, R"({"n":[1,true],"q":"long-enough"})");
  EXPECT_EQ(check.http->status, 201);
  EXPECT_EQ(check.http->json, R"({"by":"7","up":true})");
  EXPECT_EQ(check.within, Milliseconds(2'000));
  for (const char* secret : {"pw@", "\"long-enough", "=long-enough"}) {
    EXPECT_FALSE(has(parsed.plan.resolved.substr(0, parsed.plan.resolved.find("\"vars\"")), secret))
        << parsed.plan.resolved;
  }
}

TEST(PlanWatch, IsReadWithItsAlarm) {
  const Parsed parsed =
      parse(head + tables +
            "watch: {every: 6h, part: 2/14, webhook: \"https://x/y\",\n"
            "  alarm: {name: a, metric: AWS/Lambda Errors, above: 5, period: 10m, times: 2}}\n"
            "finish: {after: 7d, clean_checks: 7}\n");
  EXPECT_EQ(parsed.error, "");
  const WatchPlan& watch = parsed.plan.watch;
  EXPECT_EQ(watch.every, Milliseconds(6 * 3'600'000));
  EXPECT_TRUE(watch.compares_a_part());
  EXPECT_EQ(watch.rows_of_a_part(700), 100);
  EXPECT_EQ(watch.rows_of_a_part(701), 101);
  EXPECT_EQ(watch.rows_of_a_part(0), 1);
  EXPECT_EQ(watch.webhook, "https://x/y");
  ASSERT_TRUE(watch.alarm);
  EXPECT_EQ(watch.alarm->metric, "AWS/Lambda Errors");
  EXPECT_EQ(watch.alarm->above, 5);
  EXPECT_EQ(watch.alarm->period, Milliseconds(600'000));
  EXPECT_EQ(watch.alarm->times, 2);
  EXPECT_EQ(parsed.plan.finish.clean_checks, 7);
}

TEST(PlanWatch, UnsaidIsEveryRowOnceADay) {
  const Parsed parsed = parse(head + tables);
  EXPECT_EQ(parsed.plan.watch.every, Milliseconds(86'400'000));
  EXPECT_FALSE(parsed.plan.watch.compares_a_part());
  EXPECT_EQ(parsed.plan.finish.clean_checks, 0);
}

TEST(PlanSecrets, APasswordDoesNotReachTheResolvedPlan) {
  const Parsed parsed =
      parse("whimbrel: 1\nmigration: m\nstores: {db: \"any://u:secret@h/d\"}\n" + tables);
  EXPECT_FALSE(has(parsed.plan.resolved, "secret")) << parsed.plan.resolved;
}

}  // namespace
}  // namespace whimbrel
