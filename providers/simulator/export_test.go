package simulator

// TestLog lets tests fill a receipts log without a request per message.
type TestLog struct{ log *receiptLog }

// NewTestLog returns a log that keeps messages as [Options].KeepMessages says.
func NewTestLog(keep int) TestLog { return TestLog{newReceiptLog(keep)} }

// Add records an arrival.
func (l TestLog) Add(mobile, id string) {
	l.log.add(arrival{
		provider: "contactovirtual", mobile: mobile, template: "990", messageID: id,
		variables: "[Carlos] [Dra. Peña] [lunes 3:00 p. m.]", custField: "p1|c-2f1a:17:1|1234-5678-912554", charged: 1,
	})
}

// IDs returns the ids of the remembered messages, oldest first.
func (l TestLog) IDs() []string {
	var ids []string
	l.log.each(func(m Message) bool {
		ids = append(ids, m.MessageID)
		return true
	})
	return ids
}

// Count returns the arrivals and how many of them were duplicates.
func (l TestLog) Count() (total, duplicates int) { return l.log.count() }
