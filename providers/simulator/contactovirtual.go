package simulator

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The endpoints of the contacto-virtual document, sections 1, 2 and 3.
const (
	SendPath     = "/bot/chat_wa/ws/send/"
	BalancePath  = "/bot/chat_wa/ws/balance/"
	TemplatePath = "/bot/chat_wa/ws/template/"
)

// The codes of /send/ (contacto-virtual document, section 1, Retorno). Codes 2 and 3 mean the same at every endpoint.
const (
	codeSent        = 1
	codeAuth        = 2
	codeNoChatbot   = 3
	codeMobile      = 4
	codeBalance     = 5
	codeEmpty       = 6
	codeTemplate    = 7
	codeVariables   = 8
	codeBadMedia    = 1010
	codeNoTemplates = 4 // of /template/ only: the table of that endpoint is its own
)

// sendConcepts is the column "Concepto" of that table. The accepted answer is worded as in the screenshot below it.
var sendConcepts = map[int]string{
	codeSent:      "mensaje enviado",
	codeAuth:      "authentication error",
	codeNoChatbot: "user without multiagent/chatbot",
	codeMobile:    "error in the cell phone number to send",
	codeBalance:   "no balance or inactive chatbot/multiagent",
	codeEmpty:     "empty message",
	codeTemplate:  "id_template does not correspond to the project",
	codeVariables: "the number of variables received does not correspond to the number of variables created in the " +
		"template",
}

const (
	statusReturned    = "sending error, return balance" // section 1, above the list of codes 1002 to 1011
	statusUnlisted    = "unknown error"
	statusNoTemplates = "without templates" // section 3
)

// maxCustomField is the length of custom_field in characters (section 1, Parámetros).
const maxCustomField = 1000

// mediaTypes are the file types of section 1, Formatos.
var mediaTypes = map[string]bool{
	".pdf": true, ".jpg": true, ".mp3": true, ".txt": true, ".docx": true, ".xlsx": true, ".zip": true,
	".mp4": true, ".pptx": true, ".png": true, ".jpeg": true,
}

// contactoVirtual is one account at contacto-virtual.
type contactoVirtual struct {
	sim       *Server
	account   account
	templates map[string]knownTemplate // by id
	list      []byte                   // the answer of /template/
}

type knownTemplate struct {
	id        string
	variables int
}

func newContactoVirtual(s *Server) *contactoVirtual {
	cv := &contactoVirtual{sim: s, templates: make(map[string]knownTemplate)}
	cv.account.reset(s.opts.Balance)
	for _, t := range s.opts.Templates {
		cv.templates[t.ID] = knownTemplate{id: t.ID, variables: t.variables()}
	}
	cv.list = templateList(s.opts.Templates)
	s.endpoint(SendPath, cv.serveSend)
	s.endpoint(BalancePath, cv.serveBalance)
	s.endpoint(TemplatePath, cv.serveTemplates)
	return cv
}

// serveSend is section 1. What the rate limit and two of the faults refuse is refused with the body unread.
func (cv *contactoVirtual) serveSend(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	admitted := cv.sim.traffic.arrive(cv.sim.opts.Rate)
	fault, treated := cv.sim.faults.next()
	switch {
	case fault == resetUnread:
		drop(w, aborted)
		return
	case fault == tooMany429, !admitted:
		cv.sim.deliver(w, r, tryAgain(http.StatusTooManyRequests))
		return
	}
	fields, err := readForm(w, r)
	if err != nil {
		cv.sim.deliver(w, r, unreadable(err))
		return
	}
	var a answer
	if treated {
		a = cv.treat(fields, at)
	}
	switch fault {
	case resetStored:
		a = answer{end: aborted}
	case error500:
		a = answer{status: http.StatusInternalServerError, contentType: htmlType}
	case hang:
		a = answer{end: hung}
	case brokenJSON:
		a.body = a.body[:len(a.body)/2]
	}
	cv.sim.deliver(w, r, a)
}

// treat does with a send what the document says, then what its phone's scenario says.
func (cv *contactoVirtual) treat(f form, at time.Time) answer {
	if code := cv.check(f); code != codeSent {
		return cv.say(code, sendConcepts[code], "")
	}
	mobile := f["mobile"]
	scenario := treatments[mobile[len(mobile)-4:]]
	switch {
	case scenario.unread:
		return answer{end: aborted}
	case scenario.firstOnly != 0 && cv.sim.receipts.firstPost(mobile):
		return tryAgain(scenario.firstOnly)
	case scenario.unlisted:
		return cv.say(scenario.refuse, statusUnlisted, "")
	}
	cost := cv.sim.opts.Cost
	if !cv.account.charge(cost) {
		return cv.say(codeBalance, sendConcepts[codeBalance], "")
	}
	refuse := scenario.refuse
	if refuse == 0 && !goodMedia(f["media"]) {
		refuse = codeBadMedia
	}
	if refuse != 0 {
		cv.account.refund(cost)
		return cv.say(refuse, statusReturned, "")
	}
	id := newMessageID()
	cv.sim.receipts.add(arrival{
		atMS: at.UnixMilli(), provider: "contactovirtual", mobile: mobile,
		template: cv.templates[f["id_template"]].id, messageID: id, variables: f["template_variables"],
		media: f["media"], custField: cut(f["custom_field"], maxCustomField), charged: cost,
	})
	switch {
	case scenario.replaced:
		return scenario.instead
	case scenario.withoutID:
		id = ""
	}
	return cv.say(codeSent, sendConcepts[codeSent], id)
}

// check goes through the table of section 1 in its order.
func (cv *contactoVirtual) check(f form) int {
	if code := cv.authenticate(f); code != codeSent {
		return code
	}
	if !goodMobile(f["mobile"]) {
		return codeMobile
	}
	if cv.sim.opts.BotInactive || !cv.account.covers(cv.sim.opts.Cost) {
		return codeBalance
	}
	if f["id_template"] == "" {
		return codeEmpty
	}
	t, known := cv.templates[f["id_template"]]
	if !known {
		return codeTemplate
	}
	if len(parseVariables(f["template_variables"])) != t.variables {
		return codeVariables
	}
	return codeSent
}

// authenticate is common to the three endpoints; codeSent stands for "let in".
func (cv *contactoVirtual) authenticate(f form) int {
	if f["login"] != cv.sim.opts.Login || f["token"] != cv.sim.opts.Token {
		return codeAuth
	}
	if cv.sim.opts.NoChatbot {
		return codeNoChatbot
	}
	return codeSent
}

// serveBalance is section 2.
func (cv *contactoVirtual) serveBalance(w http.ResponseWriter, r *http.Request) {
	fields, err := readForm(w, r)
	if err != nil {
		cv.sim.deliver(w, r, unreadable(err))
		return
	}
	if code := cv.authenticate(fields); code != codeSent {
		cv.sim.deliver(w, r, cv.say(code, sendConcepts[code], ""))
		return
	}
	balance := strconv.FormatInt(cv.account.snapshot().Balance, 10)
	switch {
	case cv.sim.opts.Oddities.GroupedBalance:
		balance = `"` + grouped(balance) + `.00"`
	case !cv.sim.opts.Oddities.NumberBalance:
		balance = `"` + balance + `"`
	}
	cv.sim.deliver(w, r, cv.dress([]byte(`{"balance":`+balance+`,"status":"success"}`)))
}

// serveTemplates is section 3: a list when there are templates, an object when there is something to complain about.
func (cv *contactoVirtual) serveTemplates(w http.ResponseWriter, r *http.Request) {
	fields, err := readForm(w, r)
	if err != nil {
		cv.sim.deliver(w, r, unreadable(err))
		return
	}
	a := cv.dress(cv.list)
	if code := cv.authenticate(fields); code != codeSent {
		a = cv.say(code, sendConcepts[code], "")
	} else if len(cv.templates) == 0 {
		a = cv.say(codeNoTemplates, statusNoTemplates, "")
	}
	cv.sim.deliver(w, r, a)
}

// say is the answer {"code":…,"status":…,"messageId":…}.
func (cv *contactoVirtual) say(code int, status, messageID string) answer {
	b := make([]byte, 0, 160)
	b = append(b, `{"code":`...)
	if cv.sim.opts.Oddities.StringCodes {
		b = append(b, '"')
	}
	b = strconv.AppendInt(b, int64(code), 10)
	if cv.sim.opts.Oddities.StringCodes {
		b = append(b, '"')
	}
	b = append(b, `,"status":`...)
	b = appendPHPString(b, status)
	if messageID != "" {
		b = append(b, `,"messageId":"`...)
		b = append(b, messageID...)
		b = append(b, '"')
	}
	return cv.dress(append(b, '}'))
}

const phpNotice = "<br />\n<b>Notice</b>:  Undefined index: media in <b>/var/www/html/bot/chat_wa/ws/index.php</b> " +
	"on line <b>41</b><br />\n"

// dress labels a JSON body and adds the oddities that stand around it.
func (cv *contactoVirtual) dress(body []byte) answer {
	a := answer{contentType: "application/json; charset=utf-8", body: body}
	odd := cv.sim.opts.Oddities
	if odd.HTMLType {
		a.contentType = htmlType
	}
	if odd.Notice {
		a.body = append([]byte(phpNotice), a.body...)
	}
	if odd.BOM {
		a.body = append([]byte("\xef\xbb\xbf"), a.body...)
	}
	return a
}

// unreadable is the answer to a body that could not be read or decoded.
func unreadable(err error) answer {
	switch {
	case errors.Is(err, errCut):
		return answer{end: closed}
	case errors.Is(err, errTooLarge):
		return htmlPage(http.StatusRequestEntityTooLarge)
	}
	return htmlPage(http.StatusBadRequest)
}

// goodMobile wants 57 and twelve digits in all (section 1, code 4).
func goodMobile(mobile string) bool {
	if len(mobile) != 12 || !strings.HasPrefix(mobile, "57") {
		return false
	}
	for _, c := range []byte(mobile) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// goodMedia wants no address at all or an http address of a listed file type (section 1, Formatos).
func goodMedia(media string) bool {
	if media == "" {
		return true
	}
	u, err := url.Parse(media)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return false
	}
	return mediaTypes[strings.ToLower(path.Ext(u.Path))]
}

// newMessageID is a random UUID, since a seeded one would come again after a restart.
func newMessageID() string {
	var raw [16]byte
	binary.NativeEndian.PutUint64(raw[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(raw[8:], rand.Uint64())
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	var id [36]byte
	hex.Encode(id[0:8], raw[0:4])
	hex.Encode(id[9:13], raw[4:6])
	hex.Encode(id[14:18], raw[6:8])
	hex.Encode(id[19:23], raw[8:10])
	hex.Encode(id[24:36], raw[10:16])
	id[8], id[13], id[18], id[23] = '-', '-', '-', '-'
	return string(id[:])
}

// cut shortens a text to so many characters.
func cut(s string, characters int) string {
	if len(s) <= characters || utf8.RuneCountInString(s) <= characters {
		return s
	}
	n := 0
	for i := range s {
		if n == characters {
			return s[:i]
		}
		n++
	}
	return s
}

// grouped puts a comma between thousands.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
