package config

import "encoding/json"

// union is a value that the file may write in two ways: short as a scalar, or as a mapping.
type union interface {
	short() any     // pointer to the field that the scalar fills
	shapes() string // both forms, for messages
}

// Expression is the text of a CEL expression. Unlike other texts it may have several lines.
type Expression string

// Expr is an expression that has no short form.
type Expr struct {
	CEL Expression `json:"cel" jsonschema:"required,minLength=1" jsonschema_description:"CEL expression."`
}

// Source is what a field comes from: a directory attribute or an expression. The zero Source is none.
type Source struct {
	Attribute string     `json:"-"`
	CEL       Expression `json:"cel" jsonschema:"required,minLength=1" jsonschema_description:"CEL expression that gives text or a list of texts."`
}

func (s *Source) short() any { return &s.Attribute }
func (*Source) shapes() string {
	return `the name of a directory attribute, or {cel: "expression"}`
}

// MarshalJSON writes the source as the file does.
func (s Source) MarshalJSON() ([]byte, error) { return marshalUnion(s.Attribute, s.CEL) }

// Create is yes, no, or a condition.
type Create struct {
	Always bool       `json:"-"`
	CEL    Expression `json:"cel" jsonschema:"required,minLength=1" jsonschema_description:"CEL condition."`
}

func (c *Create) short() any   { return &c.Always }
func (*Create) shapes() string { return `true, false, or {cel: "condition"}` }

// MarshalJSON writes the choice as the file does.
func (c Create) MarshalJSON() ([]byte, error) { return marshalUnion(c.Always, c.CEL) }

// When is a condition, with or without {cel: …} around it.
type When struct {
	CEL Expression `json:"cel" jsonschema:"required,minLength=1" jsonschema_description:"CEL condition."`
}

func (w *When) short() any   { return &w.CEL }
func (*When) shapes() string { return `a CEL condition, or {cel: "condition"}` }

// MarshalJSON writes both forms as one, since they mean the same.
func (w When) MarshalJSON() ([]byte, error) { return json.Marshal(w.CEL) }

// Selector names systems: by id, or by all that is given of name, type and facility.
type Selector struct {
	ID       int    `json:"-"`
	Name     string `json:"name" jsonschema:"minLength=1" jsonschema_description:"Name of the system; * and ? stand for any text and any character."`
	Type     string `json:"type" jsonschema:"minLength=1" jsonschema_description:"Type of the system; * and ? as in name."`
	Facility int    `json:"facility" jsonschema:"minimum=1" jsonschema_description:"Core facility ref."`
}

func (s *Selector) short() any { return &s.ID }
func (*Selector) shapes() string {
	return "the id of a system, or a mapping with name, type or facility"
}

// MarshalJSON writes the selector as the file does.
func (s Selector) MarshalJSON() ([]byte, error) {
	if s.ID != 0 {
		return json.Marshal(s.ID)
	}
	type plain Selector
	return json.Marshal(plain(s))
}

func marshalUnion(short any, cel Expression) ([]byte, error) {
	if cel != "" {
		return json.Marshal(Expr{cel})
	}
	return json.Marshal(short)
}
