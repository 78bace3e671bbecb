#include "checks/http_check.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/held_clock_test.h"

namespace whimbrel {
namespace {

class Service final : public aws::Http {
 public:
  std::vector<Result<aws::HttpResponse>> send(std::span<const aws::HttpRequest> requests) override {
    asked.push_back(requests.front());
    std::vector<Result<aws::HttpResponse>> answers;
    answers.push_back(next.front());
    if (next.size() > 1) next.pop_front();
    return answers;
  }

  std::deque<Result<aws::HttpResponse>> next;
  std::vector<aws::HttpRequest> asked;
};

aws::HttpResponse answer(int status, std::string body = "") {
  return {status, {}, std::move(body)};
}

std::string judged(const std::string& wanted, const std::string& body, int status = 200) {
  HttpCheckPlan plan;
  if (!wanted.empty()) plan.json = wanted;
  return what_is_wrong(plan, status, body);
}

CheckPlan check_of(const std::string& url) {
  CheckPlan check;
  check.http = HttpCheckPlan{url, "https://api/${KEY}", "GET", {}};
  check.within = Milliseconds(5'000);
  return check;
}

TEST(HttpCheck, AnyStatusOfSuccessIsGoodUnlessThePlanNamesOne) {
  EXPECT_EQ(judged("", "", 204), "");
  EXPECT_EQ(judged("", "down for tea", 503),
            "answered 503 where 200 to 299 is expected: down for tea");
  HttpCheckPlan plan;
  plan.status = 404;
  EXPECT_EQ(what_is_wrong(plan, 404, ""), "");
  EXPECT_EQ(what_is_wrong(plan, 200, ""), "answered 200 where 404 is expected");
}

TEST(HttpCheck, EachNamedMemberHasToBeThereAndEqualAndOthersAreIgnored) {
  const std::string wanted = R"({"data": {"health": {"status": "healthy"}}})";
  EXPECT_EQ(judged(wanted, R"({"data": {"health": {"status": "healthy", "at": 7}}, "x": []})"), "");
  EXPECT_EQ(judged(wanted, R"({"data": {"health": {"status": "sick"}}})"),
            R"(answered 200, but `/data/health/status` is "sick" where "healthy" is expected)");
  EXPECT_EQ(
      judged(wanted, R"({"data": null})"),
      R"(answered 200, but `/data` is null where {"health":{"status":"healthy"}} is expected)");
  EXPECT_EQ(
      judged(wanted, R"({"data": {}})"),
      R"(answered 200, but it has no `/data/health`, where {"status":"healthy"} is expected)");
}

TEST(HttpCheck, ListsAreAsLongAsExpectedAndComparedOneByOne) {
  EXPECT_EQ(judged(R"([{"a": 1}])", R"([{"a": 1.0, "b": 2}])"), "");
  EXPECT_EQ(judged(R"([1])", R"([1, 2])"),
            "answered 200, but the answer is [1,2] where [1] is expected");
  EXPECT_EQ(judged(R"([1, [2]])", R"([1, [3]])"),
            "answered 200, but `/1/0` is 3 where 2 is expected");
}

TEST(HttpCheck, WhatIsNoJsonIsTold) {
  EXPECT_EQ(judged("{}", "<html>"), "answered what is no JSON: <html>");
  EXPECT_EQ(judged("null", "null"), "");
}

TEST(HttpCheck, AServiceThatComesUpLateIsAskedAgain) {
  HeldClock clock;
  StopFlag stop;
  Service service;
  service.next = {Error{ErrorCode::unavailable, "https://api did not answer: refused"}, answer(503),
                  answer(200)};
  EXPECT_TRUE(ask_service(check_of("https://api/1"), service, clock, stop).ok());
  EXPECT_EQ(service.asked.size(), 3);
}

TEST(HttpCheck, GivesUpWithTheLastAnswerAndTellsNoSecret) {
  HeldClock clock;
  StopFlag stop;
  Service service;
  service.next = {answer(404, "no such place: /k3yk3yk3y")};
  CheckPlan check = check_of("https://api/k3yk3yk3y");
  check.secrets = {"k3yk3yk3y"};
  const Status asked = ask_service(check, service, clock, stop);
  ASSERT_FALSE(asked.ok());
  EXPECT_EQ(asked.error().code, ErrorCode::data_mismatch);
  EXPECT_EQ(asked.error().message,
            "it answered 404 where 200 to 299 is expected: no such place: /***");
  EXPECT_EQ(asked.error().hint, "ask it yourself: curl https://api/${KEY}");
  EXPECT_LE(clock.monotonic(), check.within);
  EXPECT_GT(service.asked.size(), 3);
}

TEST(HttpCheck, PostsTheJsonOfThePlan) {
  HeldClock clock;
  StopFlag stop;
  Service service;
  service.next = {answer(200)};
  CheckPlan check = check_of("https://api/1");
  check.http->method = "POST";
  check.http->body = R"({"query":"{ health }"})";
  EXPECT_TRUE(ask_service(check, service, clock, stop).ok());
  EXPECT_EQ(service.asked.front().method, "POST");
  EXPECT_EQ(service.asked.front().body, *check.http->body);
}

TEST(HttpCheck, AStopEndsTheAsking) {
  HeldClock clock;
  StopFlag stop;
  stop.request();
  Service service;
  service.next = {answer(500)};
  EXPECT_EQ(ask_service(check_of("https://api/1"), service, clock, stop).error().code,
            ErrorCode::cancelled);
}

}  // namespace
}  // namespace whimbrel
