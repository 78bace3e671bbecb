#include "discover/names.h"

#include <gtest/gtest.h>

namespace whimbrel {
namespace {

TEST(Words, AreSplitWhereAPersonWouldSplitThem) {
  const Words wanted = {"order", "id"};
  for (const char* name :
       {"OrderID", "order_id", "orderId", "ORDER ID", "Orders.Ids", "[order-id]"}) {
    EXPECT_EQ(words_of(name), wanted) << name;
  }
  EXPECT_EQ(words_of("IPAddress2"), (Words{"ip", "address", "2"}));
  EXPECT_EQ(words_of("categories"), Words{"category"});
  EXPECT_EQ(words_of("address"), Words{"address"});
  EXPECT_EQ(words_of("größe"), Words{"größe"});
  EXPECT_TRUE(words_of("").empty());
  EXPECT_TRUE(words_of("__").empty());
}

double like(const char* a, const char* b) { return likeness(words_of(a), words_of(b)); }

TEST(Likeness, IsCertainOnlyForTheSameWords) {
  EXPECT_EQ(like("UnitPrice", "unit_price"), 1);
  EXPECT_EQ(like("unitprice", "UNIT_PRICE"), 1);
  EXPECT_LT(like("qty", "quantity"), 1);
  EXPECT_LT(like("first_name", "last_name"), 0.5);
  EXPECT_LT(like("billing_city", "shipping_city"), 0.62);
  EXPECT_EQ(like("", "x"), 0);
}

TEST(Likeness, KnowsCommonAbbreviations) {
  for (const auto& [a, b] : {std::pair("qty", "quantity"), std::pair("cust_no", "customer_number"),
                             std::pair("fname", "first_name"), std::pair("surname", "last_name"),
                             std::pair("postal_code", "zip_code"), std::pair("mail", "email")}) {
    EXPECT_GE(like(a, b), 0.85) << a << " " << b;
  }
}

TEST(Likeness, OfWordsThatStandInEverySecondColumnIsLow) {
  EXPECT_LT(like("buyer_id", "seller_id"), 0.5);
  EXPECT_LT(like("start_date", "price_date"), 0.5);
  EXPECT_LT(like("id", "buyer_id"), 0.62);
}

TEST(Prefixes, OfAllNamesAreFound) {
  const std::vector<Words> names = {words_of("c_id"), words_of("c_name"), words_of("c_mail"),
                                    words_of("c_city"), words_of("other")};
  EXPECT_EQ(common_prefix(names), Words{"c"});
  EXPECT_EQ(common_prefix({words_of("a_b"), words_of("a_c")}), Words{}) << "two are no habit";
  EXPECT_EQ(without_prefix(words_of("thing_id"), words_of("things")), Words{"id"});
  EXPECT_EQ(without_prefix(words_of("thing"), words_of("things")), Words{"thing"});
}

TEST(AgedNames, KnowTheOlderFromTheYounger) {
  EXPECT_EQ(aged("bills").stem, aged("bills_v2").stem);
  EXPECT_EQ(aged("bills").stem, aged("new_bills").stem);
  EXPECT_EQ(aged("bills").stem, aged("BillsOld").stem);
  EXPECT_LT(aged("bills_v2").age, aged("bills_v3").age);
  EXPECT_LT(aged("bills_old").age, aged("bills").age);
  EXPECT_LT(aged("bills").age, aged("bills_new").age);
  EXPECT_TRUE(aged("line2").bare_number);
  EXPECT_FALSE(aged("line_v2").bare_number);
  EXPECT_EQ(aged("new").stem, Words{"new"}) << "a name is never taken away whole";
}

}  // namespace
}  // namespace whimbrel
