package ppms

import (
	"fmt"
	"math/big"
	"strings"
)

// Decimal is an amount of money, a quantity or a number of hours, exactly as PPMS wrote it: digits, and after a point as many
// more as there were. Which currency it is in PUMAPI never says. The zero value is an amount that PPMS left empty.
type Decimal struct{ text string }

// ParseDecimal reads "12", "-3.50" or "". A comma is refused: whether it parts thousands or cents, nothing says, and money is
// never guessed.
func ParseDecimal(text string) (Decimal, error) {
	text = strings.TrimSpace(text)
	unsigned := text
	if text != "" && strings.ContainsRune("+-", rune(text[0])) {
		unsigned = text[1:]
	}
	whole, fraction, point := strings.Cut(unsigned, ".")
	if text != "" && (!digits(whole) || point && !digits(fraction)) {
		return Decimal{}, fmt.Errorf("%q is no decimal number", text)
	}
	return Decimal{strings.TrimPrefix(text, "+")}, nil
}

func digits(text string) bool {
	const most = 40
	return text != "" && len(text) <= most && strings.Trim(text, "0123456789") == ""
}

// String is the number as PPMS wrote it, "" for none.
func (d Decimal) String() string { return d.text }

// MarshalText makes it a string in JSON, since a JSON number would be rounded by many who read it.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.text), nil }

// IsZero says whether there is no number.
func (d Decimal) IsZero() bool { return d.text == "" }

// Positive says whether it is a number above 0.
func (d Decimal) Positive() bool {
	n, ok := new(big.Rat).SetString(d.text)
	return ok && n.Sign() > 0
}

// Sum adds exactly, with as many places as the most exact of the numbers. Empty ones add nothing.
func Sum(numbers ...Decimal) Decimal {
	total, places := new(big.Rat), 0
	for _, d := range numbers {
		if n, ok := new(big.Rat).SetString(d.text); ok {
			total.Add(total, n)
			_, fraction, _ := strings.Cut(d.text, ".")
			places = max(places, len(fraction))
		}
	}
	return Decimal{total.FloatString(places)}
}

// Equal compares as numbers: 2 is 2.00.
func (d Decimal) Equal(other Decimal) bool {
	a, aOK := new(big.Rat).SetString(d.text)
	b, bOK := new(big.Rat).SetString(other.text)
	return aOK == bOK && (!aOK || a.Cmp(b) == 0)
}
