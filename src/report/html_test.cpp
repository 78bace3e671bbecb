#include "report/html.h"

#include <gtest/gtest.h>

#include "report/markdown.h"
#include "report/page_parts.h"

namespace whimbrel {
namespace {

std::string paragraph(std::string_view text) {
  Html html;
  html.element("p", text, {{"title", std::string(text)}});
  return std::move(html).end();
}

TEST(Html, LetsNoValueBecomeMarkup) {
  EXPECT_EQ(paragraph("a<b>&\"'"),
            "<p title=\"a&lt;b&gt;&amp;&quot;&#39;\">a&lt;b&gt;&amp;&quot;&#39;</p>\n");
  EXPECT_EQ(paragraph("</script><script>").find("<script"), std::string::npos);
}

TEST(Html, KeepsUnicodeAndReplacesWhatNoPageCanHold) {
  EXPECT_EQ(paragraph("ü→𝄞"), "<p title=\"ü→𝄞\">ü→𝄞</p>\n");
  const std::string text = paragraph(std::string_view("a\0\x1b\xff\xc2\x85z", 7));
  EXPECT_EQ(text.find('\0'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\xff'), std::string::npos);
  EXPECT_NE(text.find("z</p>"), std::string::npos);
}

TEST(Html, ShowsWhatStandsInBackticksAsCode) {
  Html html;
  html.sentence("say `a<b` now");
  html.sentence("; one ` alone");
  EXPECT_EQ(std::move(html).end(), "say <code>a&lt;b</code> now; one ` alone");
}

TEST(Html, ClosesWhatIsOpen) {
  Html html;
  html.begin("t", "p { }");
  html.open("main");
  const std::string page = std::move(html).end();
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(page.ends_with("</main>\n</body>\n</html>\n")) << page;
}

TEST(Html, TheStylesheetNeedsNoEscaping) {
  const std::string_view style = page::stylesheet;
  EXPECT_EQ(style.find_first_of("<>&\"'"), std::string_view::npos);
}

TEST(Markdown, LetsNoValueBecomeMarkup) {
  EXPECT_EQ(markdown_text("a|b*c\n# `d*e` <x>"), "a\\|b\\*c \\# `d*e` \\<x\\>");
  EXPECT_EQ(markdown_text("one ` alone"), "one \\` alone");
  Markdown out;
  out.command({"say ```` now"});
  EXPECT_EQ(std::move(out).end(), "`````\nsay ```` now\n`````\n");
}

}  // namespace
}  // namespace whimbrel
