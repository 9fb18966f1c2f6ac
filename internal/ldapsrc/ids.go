package ldapsrc

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// Attributes that are not text.
const (
	objectGUID = "objectGUID" // stable id of Active Directory
	objectSID  = "objectSid"  // whose last part, the RID, is the number of a primary group
)

// idText is a stable id as text. objectGUID is written as Microsoft's tools do, its first three parts little-endian (MS-DTYP
// 2.3.4.2); all others are text already.
func idText(attribute, value string) (string, error) {
	if strings.EqualFold(attribute, objectGUID) {
		return guidText(value)
	}
	if !utf8.ValidString(value) {
		return "", errors.New("it is binary: use an attribute of text, such as entryUUID")
	}
	return strings.TrimSpace(value), nil
}

// idFilter is a stable id as it stands in a filter.
func idFilter(attribute, id string) string {
	if strings.EqualFold(attribute, objectGUID) {
		if raw, err := guidBytes(id); err == nil {
			return escapeBytes(raw)
		}
	}
	return ldap.EscapeFilter(id)
}

const guidLength = 16

func guidText(raw string) (string, error) {
	if len(raw) != guidLength {
		return "", fmt.Errorf("it has %d bytes instead of %d", len(raw), guidLength)
	}
	b := swapGUID([]byte(raw))
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

func guidBytes(text string) ([]byte, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != guidLength {
		return nil, fmt.Errorf("%q is no GUID", text)
	}
	return swapGUID(b), nil
}

// swapGUID turns one byte order into the other.
func swapGUID(b []byte) []byte {
	out := make([]byte, 0, guidLength)
	out = binary.LittleEndian.AppendUint32(out, binary.BigEndian.Uint32(b))
	out = binary.LittleEndian.AppendUint16(out, binary.BigEndian.Uint16(b[4:]))
	out = binary.LittleEndian.AppendUint16(out, binary.BigEndian.Uint16(b[6:]))
	return append(out, b[8:guidLength]...)
}

// escapeBytes writes bytes into a filter so that no server can take them for text.
func escapeBytes(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	return b.String()
}

// groupNumber is the number by which people name their primary group, in decimal.
func groupNumber(attribute, value string) (string, error) {
	if strings.EqualFold(attribute, objectSID) {
		return ridOf(value)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return "", fmt.Errorf("%q is no number", value)
	}
	return strconv.FormatInt(n, 10), nil
}

// ridOf takes the last part of a security identifier (MS-DTYP 2.4.2.2): revision, count, authority of six bytes, and count
// parts of four, little-endian.
func ridOf(sid string) (string, error) {
	const head, part = 8, 4
	if len(sid) < head+part || sid[0] != 1 || len(sid) != head+part*int(sid[1]) {
		return "", errors.New("it is no security identifier")
	}
	return strconv.FormatUint(uint64(binary.LittleEndian.Uint32([]byte(sid[len(sid)-part:]))), 10), nil
}
