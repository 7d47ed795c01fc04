package minimize

// values are what submissions are filled with. Forms have # for digits, {o}
// for octets, and {first}, {last} and their beginnings for the person's name.
type values struct {
	first, last, login, plainlogin, dotted, freemail, org, orgname []string
	forms                                                          map[string][]string

	domain, tld, malware, actor, file, suffix, sender, maildomain, mutex, regkey, btc, defanged []string
}

// tunedValues are the values that the gate was tuned with.
func tunedValues() *values {
	return &values{
		first:      []string{"Marguerite", "Alejandro", "Siobhan", "Thorsten", "Priyanka", "Ludmila", "Kenneth", "Beatriz", "Rashid", "Wilhelmina"},
		last:       []string{"Fitzgerald", "Villanueva", "Lindqvist", "Brandt", "Chatterjee", "Petrova", "Nakamura", "Kowalczyk", "Delacroix", "Hernandez"},
		login:      []string{"{f}{last}##"},
		plainlogin: []string{"{f}{last}"},
		dotted:     []string{"{first}.{last}"},
		freemail:   []string{"{last}.{first}##@gmail.com"},
		org:        []string{"northbridge-clinic.example", "alderwood-utilities.example", "kestrel-freight.example", "cityofharlow.example"},
		orgname:    []string{"Northbridge Clinic", "Alderwood Utilities", "Kestrel Freight"},
		forms: map[string][]string{
			"phone":  {"+44 20 7946 0###", "+1 (415) 555-0###", "+49 30 901820###", "+33 1 99 00 1###"},
			"host":   {"WS-FIN-0412", "HR-LAPTOP-K7Q2P1M", "DESKTOP-K7Q2P1M", "SRV-FILE-11", "WS-FIN-C03", "SRV-FILE-0412", "DESKTOP-0412", "HR-LAPTOP-11"},
			"fqdn":   {"fileserver01.corp.local", "dc-west.ad.internal", "print3.hq.lan", "erp01.intra.corp", "dc01.hq.lan", "fileserver-west.intra.corp"},
			"share":  {`\\fs01\payroll`, `\\nas-hr\patients$`, `\\filer2\hr-files`, `\\fs-hr\hr-files`},
			"ip":     {"10.{o}.{o}.{o}"},
			"secret": {"Winter####!x", "Harbor#####q", "Copper####$Zz"},
			"street": {"1## Maple Street", "2# Granville Avenue", "7## Oakfield Road"},
		},
		domain: []string{"cdn-update", "secure-login", "files-sync", "mx-relay"}, tld: []string{".top", ".xyz", ".info", ".cc"},
		malware: []string{"Agent Tesla", "Gold Max", "Carbanak", "Dridex", "SombRAT", "Maze", "Remcos", "Grace Wire"},
		actor:   []string{"Sandworm Team", "Molerats", "Magic Hound", "Wizard Spider", "Silence", "Rocke", "Andariel"},
		file:    []string{"scan", "fedex_label", "Rechnung", "svc"}, suffix: []string{".exe", ".lnk", ".iso", ".js"},
		sender: []string{"billing", "ops", "helpdesk.team", "k.morozov"}, maildomain: []string{"mailbox-team.top", "relay-auth.xyz"},
		mutex:    []string{`Global\`},
		regkey:   []string{`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\Updater`, `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\OneDrv`},
		btc:      []string{"1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"},
		defanged: []string{"cdn[.]evil-update[.]top", "img[.]pay-check[.]top"},
	}
}

// freshValues are of other countries and other houses' styles. Nobody tunes the
// gate with them.
func freshValues() *values {
	return &values{
		first:      []string{"Oluwaseun", "Thuy", "Aino", "Fatoumata", "Gergely", "Zeynep", "Matteo", "Saoirse", "Ximena", "Tariq", "Agnieszka", "Ngozi", "Tuan", "Ioana", "Sigrid"},
		last:       []string{"Adeyemi", "Nguyen", "Virtanen", "Diallo", "Szabo", "Yilmaz", "Rossi", "Gallagher", "Quispe", "Haddad", "Wojcik", "Okonkwo", "Popescu", "Halvorsen", "Dlamini"},
		login:      []string{"{last}{f}#", "{fir}{las}##", "u######", "{first}_{l}##", "{l}{first}##"},
		plainlogin: []string{"{last}{f}", "{first}{l}", "{fir}{last}"},
		dotted:     []string{"{last}.{first}", "{first}_{last}", "{f}.{last}", "{first}-{last}"},
		freemail:   []string{"{first}{last}##@yahoo.com", "{f}{last}19##@web.de", "{last}_{first}@qq.com"},
		org:        []string{"hospital-san-telmo.example", "vesterhavet-energi.example", "lagos-metro-bank.example", "szeged-egyetem.example", "stadtwerke-altmark.example"},
		orgname:    []string{"Hospital San Telmo", "Vesterhavet Energi", "Lagos Metro Bank", "Stadtwerke Altmark"},
		forms: map[string][]string{
			"phone":  {"+234 803 555 ####", "+84 24 3825 ####", "+358 9 4245 ####", "(0)6-20-555-####", "+90 212 555 ## ##", "0171 555####", "02-2345-####", "+48 22 555 ## ##"},
			"host":   {"PARLT0042", "lon-vdi-17", "BUD-PC-00931", "MacBook-Air-3", "hel-kiosk04", "NB2023-118", "LAGBRN07WK12"},
			"fqdn":   {"mail2.emea.acme.corp", "sql-prd-07.prod.internal", "vc01.dmz.localdomain", "wsus.branch.intranet", "k8s-node-3.cluster.local"},
			"share":  {`\\bud-nas1\kozos`, `\\10.20.4.9\finance`, `\\emea.acme.corp\dfs\legal`, `\\SRV-LAGOS\scans$`},
			"ip":     {"172.2#.{o}.{o}", "192.168.{o}.{o}", "172.16.{o}.{o}"},
			"secret": {"Tr0ub4dor&#", "jUl1us-C43sar##", "sommer20##", "P@ssw0rd##", "kX9#v!q2#Lm"},
			"street": {"Kossuth Lajos utca 1#", "Hämeentie 2#", "1# Broad Street", "Istiklal Caddesi 8#", "ul. Nowy Swiat 1#", "Calle Florida 4##", "## Nguyen Hue Boulevard"},
		},
		domain: []string{"paketverfolgung", "my-benefits", "o365-verify", "rdp-gate", "kargo-takip"}, tld: []string{".ru", ".shop", ".com.ng", ".click", ".icu"},
		malware: []string{"Lumma Stealer", "QakBot", "Play", "Bumblebee", "Cobalt Strike", "Raccoon", "Formbook", "Hook"},
		actor:   []string{"Scattered Spider", "FIN7", "Kimsuky", "TA577", "Volt Typhoon", "Turla", "Star Blizzard"},
		file:    []string{"szamla_", "cv-", "Fattura", "bill_of_lading", "setup-x64-"}, suffix: []string{".pdf.exe", ".hta", ".vhdx", ".one", ".dll"},
		sender: []string{"accounts", "hr-notice", "j.lindgren", "dhl.express", "ceo"}, maildomain: []string{"outlook-mailer.click", "hr-portal.icu", "kurier-info.shop"},
		mutex:    []string{`Local\`, `Session\1\`},
		regkey:   []string{`HKEY_CURRENT_USER\Software\Classes\ms-settings\shell\open\command`, `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\WinDefendX`},
		btc:      []string{"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"},
		defanged: []string{"login[.]o365-verify[.]click", "dl[.]kargo-takip[.]shop", "185[.]220[.]101[.]4"},
	}
}
