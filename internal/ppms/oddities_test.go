package ppms

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The tests that docs/pumapi-oddities.md names are there, one for each of the eleven.
func TestOddities(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "pumapi-oddities.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	named := regexp.MustCompile("(?m)\\| `(Test\\w+)` \\|$").FindAllStringSubmatch(string(doc), -1)
	if len(named) != 11 {
		t.Errorf("%d oddities with a test instead of 11", len(named))
	}
	for _, m := range named {
		if !strings.Contains(tests.String(), "func "+m[1]+"(t *testing.T)") {
			t.Errorf("there is no test %s", m[1])
		}
	}
}
