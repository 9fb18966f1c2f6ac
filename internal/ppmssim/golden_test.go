package ppmssim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ppms-syncd/internal/ppmssim"
)

// TestGolden holds the bytes of the answers; "␍␊" stands for the line ends of the wire.
func TestGolden(t *testing.T) {
	broken := func(o *ppmssim.Options) {
		o.Seed.Systems = append(o.Seed.Systems, ppmssim.System{ID: 59, RawID: "none", Facility: 2, Type: "Odd", Name: `A "B", C`, Active: true})
	}
	p := start(t, broken)
	for name, call := range map[string]string{
		"auth":                  "action=auth",
		"auth-password":         "action=auth login=jdoe pwd=jane",
		"auth-wrong-password":   "action=auth login=jdoe pwd=john",
		"getusers":              "action=getusers",
		"getusers-active":       "action=getusers active=true",
		"getusers-inactive":     "action=getusers active=false",
		"getuser":               "action=getuser login=jmueller",
		"getuser-quotes":        "action=getuser login=lchen",
		"getuser-inactive":      "action=getuser login=bgone",
		"getuser-unknown":       "action=getuser login=nobody",
		"getuser-noheaders":     "action=getuser login=jdoe noheaders=true",
		"getuser-json":          "action=getuser login=lchen format=json",
		"getuser-json-userid":   "action=getuser login=jdoe format=json withuserid=true",
		"getgroups":             "action=getgroups",
		"getgroups-inactive":    "action=getgroups active=False",
		"getgroup":              "action=getgroup unitlogin=muellerlab",
		"getgroup-unknown":      "action=getgroup unitlogin=nolab",
		"getgroupusers":         "action=getgroupusers unitlogin=smithlab",
		"getadmins":             "action=getadmins",
		"getsystems":            "action=getsystems",
		"getsystems-one":        "action=getsystems id=12",
		"getsystems-json":       "action=getsystems id=59 format=json",
		"getsysrights":          "action=getsysrights id=12",
		"getsysrights-csv":      "action=getsysrights id=12 format=csv",
		"getsysrights-unknown":  "action=getsysrights id=0",
		"getuserrights":         "action=getuserrights login=jdoe",
		"getuserrights-csv":     "action=getuserrights login=jdoe format=csv",
		"getuserrights-unknown": "action=getuserrights login=nobody",
		"setright":              "action=setright id=12 login=jdoe type=A",
		"setright-bad-id":       "action=setright id=0 login=jdoe type=A",
		"setright-bad-user":     "action=setright id=12 login=nobody type=A",
		"newuser-incomplete":    "action=newuser login=x lname=X",
		"newuser":               "action=newuser login=asmith lname=Smith fname=Ada email=ada.smith@example.org unitlogin=smithlab",
		"upduser":               "action=upduser login=asmith phone=1",
		"newgroup":              "action=newgroup unitlogin=smithlab",
		"updgroup":              "action=updgroup unitlogin=smithlab",
		"getuserexp":            "action=getuserexp",
		"getuserexp-one":        "action=getuserexp login=jdoe id=12",
		"getbooking":            "action=getbooking id=12",
		"getbooking-none":       "action=getbooking id=21",
		"nextbooking":           "action=nextbooking id=12",
		"nextbooking-tomorrow":  "action=nextbooking id=57",
		"nextbooking-none":      "action=nextbooking id=31",
		"getrunningsheet":       "action=getrunningsheet plateformid=1 day=2026-03-02",
		"getrunningsheet-none":  "action=getrunningsheet plateformid=9 day=2026-03-02",
		"getorders":             "action=getorders",
		"getorderlines":         "action=getorderlines orderref=1002",
		"getorderlines-none":    "action=getorderlines orderref=1",
		"createorder-bad":       "action=createorder serviceid=302 login=asmith",
		"createorder-service":   "action=createorder serviceid=9 login=asmith quantity=1",
		"getservices":           "action=getservices coreid=1",
		"getprojects":           "action=getprojects",
		"getprojects-noheaders": "action=getprojects noheaders=true",
		"getprojectusers":       "action=getprojectusers projectid=6",
		"getuserprojects":       "action=getuserprojects login=jdoe",
		"getbcodes":             "action=getbcodes",
		"getinvoicelist":        "action=getinvoicelist",
		"getinvoice":            "action=getinvoice invoiceid=2026-02-01",
		"getinvoice-unknown":    "action=getinvoice invoiceid=x",
		"getinvoicedetails":     "action=getinvoicedetails invoiceid=2026-02-01",
		"getinvoicedetails-one": "action=getinvoicedetails invoiceid=2026-02-01 bcode=EXT-7 noheaders=true",
		"unknown":               "action=getmoney",
		"wrong-key":             "action=getusers apikey=wrong",
	} {
		t.Run(name, func(t *testing.T) {
			body := p.ask(call)
			got := "# " + call + "\n" + strings.ReplaceAll(body, "\r\n", "␍␊\n")
			path := filepath.Join("testdata", "golden", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWire(t *testing.T) {
	for name, c := range map[string]struct {
		wire ppmssim.Wire
		call string
		want string
	}{
		"lf":       {ppmssim.Wire{LF: true}, "action=getadmins", "admin\nmkeller\n"},
		"open end": {ppmssim.Wire{OpenEnd: true}, "action=getadmins", "admin\r\nmkeller"},
		"blanks":   {ppmssim.Wire{Blanks: true}, "action=getadmins", "admin \r\n mkeller \r\n"},
		"header": {
			ppmssim.Wire{Blanks: true, OpenEnd: true, LF: true},
			"action=getsystems id=12",
			"Core facility ref, System id, Type, Name, Localisation, Active, Schedules, Stats, Bookable, Autonomy Required, " +
				"Autonomy Required After Hours \n 1,12,\"Confocal Microscopes\",\"SP8 upright\",\"Room 1.01\",True,True,True,True,True,False",
		},
		"empty": {ppmssim.Wire{Blanks: true}, "action=getuser login=nobody", ""},
		"entities": {
			ppmssim.Wire{EscapeHTML: true},
			"action=getuser login=sobrien noheaders=true",
			`"sobrien","O&#39;Brien","Siobhán","siobhan.obrien@example.org","","","","smithlab",false,false,true` + "\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			start(t, func(o *ppmssim.Options) { o.Wire = c.wire }).want(c.call, c.want)
		})
	}
}

func TestEntitiesInQuestions(t *testing.T) {
	p := start(t, func(o *ppmssim.Options) { o.Wire.EscapeHTML = true })
	p.PutUnit(ppmssim.Unit{Unitlogin: "o'lab", Active: true})
	for _, spelling := range []string{"o'lab", "o&#39;lab"} {
		if got := p.ask("action=getgroup noheaders=true unitlogin=" + spelling); !strings.HasPrefix(got, `"o&#39;lab",`) {
			t.Errorf("%s: %q", spelling, got)
		}
	}
}
