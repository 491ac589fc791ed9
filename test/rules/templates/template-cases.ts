/**
 * Templates of alerts and what they expand to. Each text was printed by Prometheus 2.42: real-promtool.test.ts compares
 * them with the promtool of this machine, if there is one.
 */
export interface TemplateCase {
  readonly template: string;
  readonly text: string;
  /** The value of the alert, as PromQL; 1234.5678 if it is not given. */
  readonly value?: string;
}

/** The labels of the alert. */
export const ALERT_LABELS = {
  instance: "web-1.example.org:9100",
  job: "api",
  constructor: "own",
  address: "[2001:db8::1]:80",
  text: `a <b> & 'c' "d" é`,
};

/** The series that templates can query, and their last values. */
export const QUERIED = [
  { labels: { __name__: "queue", shard: "b" }, value: 3 },
  { labels: { __name__: "queue", shard: "a" }, value: 0.5 },
  { labels: { __name__: "queue", shard: "c" }, value: 12 },
];

export const EXTERNAL_LABELS = { region: "eu", constructor: "external" };
export const EXTERNAL_URL = "http://weir.example.org:9090/base";

export const TEMPLATE_CASES: readonly TemplateCase[] = [
  { template: '{{ reReplaceAll "(?P<n>b)" "<$' + '{n}x>" "abc" }}', text: "a<bx>c" },
  { template: "plain text", text: "plain text" },
  { template: "{{ $value }}", text: "1234.5678" },
  { template: "{{ .Value }}", text: "1234.5678" },
  { template: "{{ $labels.instance }} of {{ $labels.job }}", text: "web-1.example.org:9100 of api" },
  { template: "{{ .Labels.instance }}", text: "web-1.example.org:9100" },
  { template: "{{ $labels.nope }}|{{ .Labels.nope }}", text: "|" },
  {
    template: "{{ $labels }}",
    text: "map[address:[2001:db8::1]:80 constructor:own instance:web-1.example.org:9100 job:api text:a <b> & 'c' \"d\" é]",
  },
  {
    template:
      "{{ $labels.constructor }}|{{ $labels.__proto__ }}|{{ $labels.toString }}|{{ $labels.hasOwnProperty }}",
    text: "own|||",
  },
  {
    template: "{{ $externalLabels.region }} {{ .ExternalLabels.region }} {{ $externalLabels.constructor }}",
    text: "eu eu external",
  },
  { template: '{{ $labels | len }} {{ len "é" }} {{ len $labels.job }}', text: "5 2 3" },
  { template: '{{ index $labels "job" }} {{ index $labels "nope" }}', text: "api " },
  {
    template: '{{ index "abc" 1 }} {{ slice "abcdef" 2 4 }} {{ slice "abc" 1 }} {{ slice "abc" }}',
    text: "98 cd bc abc",
  },
  { template: "{{if true}}T{{else}}F{{end}}{{if false}}T{{else}}F{{end}}", text: "TF" },
  { template: '{{ if eq $labels.job "api" }}yes{{ end }}', text: "yes" },
  { template: '{{ if eq $labels.job "x" "y" "api" }}yes{{ else }}no{{ end }}', text: "yes" },
  { template: '{{ if ne $labels.job "x" }}yes{{ end }}', text: "yes" },
  {
    template: "{{ if gt $value 1000.0 }}high{{ else if gt $value 10.0 }}mid{{ else }}low{{ end }}",
    text: "high",
  },
  { template: "{{ if and (gt $value 5.0) (lt $value 2000.0) }}between{{ end }}", text: "between" },
  { template: '{{ if or (lt $value 5.0) (eq $labels.job "api") }}one{{ end }}', text: "one" },
  {
    template: '{{ not true }} {{ not "" }} {{ not 0 }} {{ not 0.0 }} {{ not $labels }}',
    text: "false true true true false",
  },
  { template: '{{ and 1 0 "x" }} {{ and 1 2 "x" }} {{ or 0 "" "z" }} {{ or 0 "" }}', text: "0 x z " },
  {
    template:
      '{{ eq 1 1 }} {{ eq 1.0 1.0 }} {{ eq "a" "b" }} {{ eq true true }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt "b" "a" }} {{ ge 2.5 2.5 }}',
    text: "true true false true true true true true",
  },
  {
    template: "{{ eq 1 1.0 }}",
    text: '<error expanding template: error executing template __alert_T23: template: __alert_T23:1:115: executing "__alert_T23" at <eq 1 1.0>: error calling eq: incompatible types for comparison>',
  },
  {
    template: '{{ lt "a" 1 }}',
    text: '<error expanding template: error executing template __alert_T24: template: __alert_T24:1:115: executing "__alert_T24" at <lt "a" 1>: error calling lt: incompatible types for comparison>',
  },
  {
    template: "{{ lt true false }}",
    text: '<error expanding template: error executing template __alert_T25: template: __alert_T25:1:115: executing "__alert_T25" at <lt true false>: error calling lt: invalid type for comparison>',
  },
  {
    template: "{{ eq $labels $labels }}",
    text: '<error expanding template: error executing template __alert_T26: template: __alert_T26:1:115: executing "__alert_T26" at <eq $labels $labels>: error calling eq: non-comparable type map[address:[2001:db8::1]:80 constructor:own instance:web-1.example.org:9100 job:api text:a <b> & \'c\' "d" é]: map[string]string>',
  },
  {
    template: "{{ gt $value 5 }}",
    text: '<error expanding template: error executing template __alert_T27: template: __alert_T27:1:115: executing "__alert_T27" at <gt $value 5>: error calling gt: incompatible types for comparison>',
  },
  {
    template:
      "{{ 1 }} {{ 1.0 }} {{ 1e3 }} {{ 1.5e3 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 017 }} {{ 1_000 }} {{ 'a' }} {{ '\\n' }} {{ -3 }} {{ +4 }} {{ .5 }}",
    text: "1 1 1000 1500 31 5 15 15 1000 97 10 -3 4 0.5",
  },
  { template: '{{ "quoted \\"x\\" \\t \\u00e9 \\x41" }} {{ `raw \\n` }}', text: 'quoted "x" \t é A raw \\n' },
  { template: "{{ true }} {{ false }}", text: "true false" },
  {
    template: '{{ print 1 2 "a" "b" 3 4.5 true }}|{{ print "a" 1 }}|{{ print 1 2.5 }}',
    text: "1 2ab3 4.5 true|a1|1 2.5",
  },
  { template: '{{ println "a" 1 }}|', text: "a 1\n|" },
  { template: '{{ printf "%s %v %d" "a" "b" 3 }}', text: "a b 3" },
  { template: '{{ printf "%d" $value }}', text: "%!d(float64=1234.5678)" },
  { template: '{{ printf "%s" $value }}', text: "%!s(float64=1234.5678)" },
  {
    template:
      '{{ printf "%f %.2f %.0f %8.2f|%-8.2f|%08.2f|%+.1f|% .1f" 3.14159 3.14159 2.5 3.14159 3.14159 3.14159 3.14159 3.14159 }}',
    text: "3.141590 3.14 2     3.14|3.14    |00003.14|+3.1| 3.1",
  },
  {
    template: '{{ printf "%.0f %.0f %.0f %.0f %.1f %.1f %.2f" 0.5 1.5 2.5 3.5 0.25 0.35 1.005 }}',
    text: "0 2 2 4 0.2 0.3 1.00",
  },
  {
    template:
      '{{ printf "%e %.2e %E %g %.3g %G" 123456.789 123456.789 123456.789 123456.789 123456.789 1e-10 }}',
    text: "1.234568e+05 1.23e+05 1.234568E+05 123456.789 1.23e+05 1E-10",
  },
  {
    template: '{{ printf "%g %g %g %g %g %g %v" 100000.0 1000000.0 123456789.0 0.0001 0.00001 1e21 1e20 }}',
    text: "100000 1e+06 1.23456789e+08 0.0001 1e-05 1e+21 1e+20",
  },
  {
    template: '{{ printf "%.4g %.4g %.4g %.4g" 1000.0 100000.0 0.00012345 999999.0 }}',
    text: "1000 1e+05 0.0001234 1e+06",
  },
  {
    template: '{{ printf "%x %X %#x %o %b %c %U %q %O %08b %+d % d" 255 255 255 8 5 65 233 65 8 5 7 7 }}',
    text: "ff FF 0xff 10 101 A U+00E9 'A' 0o10 00000101 +7  7",
  },
  {
    template: '{{ printf "%x %X % x %#x" "hi é" "hi" "abc" "abc" }}',
    text: "686920c3a9 6869 61 62 63 0x616263",
  },
  {
    template: '{{ printf "%x %.2x %X" 1.5 3.14159 0.1 }}',
    text: "0x1.8p+00 0x1.92p+01 0X1.999999999999AP-04",
  },
  {
    template: '{{ printf "%q %q %+q %#q" "a\\"b" "é\\n" "é" "a b" }}',
    text: '"a\\"b" "é\\n" "\\u00e9" `a b`',
  },
  {
    template: '{{ printf "%5s|%-5s|%.2s|%5.1s|%05s" "ab" "ab" "abc" "xyz" "ab" }}',
    text: "   ab|ab   |ab|    x|000ab",
  },
  {
    template: '{{ printf "%5d|%-5d|%05d|%.3d|%8.3d|%+05d|%x" 42 42 42 42 42 42 -255 }}',
    text: "   42|42   |00042|042|     042|+0042|-ff",
  },
  { template: '{{ printf "%t %v %5t" true false true }}', text: "true false  true" },
  {
    template: '{{ printf "%%" }} {{ printf "100%" }} {{ printf "%z" 1 }} {{ printf "%!" }}',
    text: "% 100%!(NOVERB) %!z(int=1) %!!(MISSING)",
  },
  {
    template: '{{ printf "%d %d" 1 }} {{ printf "%d" 1 2 "x" }} {{ printf "a" }}',
    text: "1 %!d(MISSING) 1%!(EXTRA int=2, string=x) a",
  },
  {
    template:
      '{{ printf "%[2]d %[1]d" 1 2 }} {{ printf "%[3]d" 1 }} {{ printf "%[2]*[1]d" 5 4 }} {{ printf "%*d" 5 42 }} {{ printf "%-*d|" 5 42 }} {{ printf "%.*f" 2 3.14159 }}',
    text: "2 1 %!d(BADINDEX)    5    42 42   | 3.14",
  },
  { template: '{{ printf "%[x]d %[1" 1 }}', text: "%!d(BADINDEX) %!(NOVERB)" },
  {
    template: '{{ printf "%v %+v %s %d" $labels $labels $labels $labels }}',
    text: "map[address:[2001:db8::1]:80 constructor:own instance:web-1.example.org:9100 job:api text:a <b> & 'c' \"d\" é] map[address:[2001:db8::1]:80 constructor:own instance:web-1.example.org:9100 job:api text:a <b> & 'c' \"d\" é] map[address:[2001:db8::1]:80 constructor:own instance:web-1.example.org:9100 job:api text:a <b> & 'c' \"d\" é] map[%!d(string=address):%!d(string=[2001:db8::1]:80) %!d(string=constructor):%!d(string=own) %!d(string=instance):%!d(string=web-1.example.org:9100) %!d(string=job):%!d(string=api) %!d(string=text):%!d(string=a <b> & 'c' \"d\" é)]",
  },
  {
    template: '{{ printf "%T %T %T %T %T %T" 1 1.5 "a" true $labels nil }}',
    text: "int float64 string bool map[string]string <nil>",
  },
  { template: '{{ printf "%v %s %d" nil nil nil }}', text: "<nil> %!s(<nil>) %!d(<nil>)" },
  { template: '{{ printf "%s" }}', text: "%!s(MISSING)" },
  { template: '{{ printf "%6.2f%%" 12.345 }}', text: " 12.35%" },
  {
    template: '{{ printf "%s" true }} {{ printf "%t" 1 }} {{ printf "%d" "a" }} {{ printf "%f" 1 }}',
    text: "%!s(bool=true) %!t(int=1) %!d(string=a) %!f(int=1)",
  },
  {
    template: '{{ printf "%v" .Value }} {{ $value | printf "%.3f" }} {{ printf "%.1f" .Value }}',
    text: "1234.5678 1234.568 1234.6",
  },
  {
    template:
      '{{ html "<a href=\\"x\\">\'&\'</a>" }} {{ js "it\'s \\"<x>\\" & = \\\\ é\\n" }} {{ urlquery "a b&c=d/é~!*()\'" }}',
    text: '&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt; it\\\'s \\"\\u003Cx\\u003E\\" \\u0026 \\u003D \\\\ é\\u000A a+b%26c%3Dd%2F%C3%A9~%21%2A%28%29%27',
  },
  {
    template: '{{ html $labels.text }} {{ $labels.text | urlquery }} {{ html 1 2 "a" }}',
    text: "a &lt;b&gt; &amp; &#39;c&#39; &#34;d&#34; é a+%3Cb%3E+%26+%27c%27+%22d%22+%C3%A9 1 2a",
  },
  {
    template:
      '{{ humanize 0 }} {{ humanize 1234567.0 }} {{ humanize 999.9 }} {{ humanize 999.99 }} {{ humanize 999999 }} {{ humanize 0.0012345 }} {{ humanize 0.5 }} {{ humanize -1500.0 }} {{ humanize "1500" }} {{ humanize 1e30 }} {{ humanize 1e-30 }}',
    text: "0 1.235M 999.9 1000 1000k 1.234m 500m -1.5k 1.5k 1e+06Y 1e-06y",
  },
  {
    template:
      "{{ humanize1024 1048576.0 }} {{ humanize1024 1.0 }} {{ humanize1024 1023 }} {{ humanize1024 1536 }} {{ humanize1024 0.5 }} {{ humanize1024 -2048.0 }} {{ humanize1024 1e30 }}",
    text: "1Mi 1 1023 1.5ki 0.5 -2ki 8.272e+05Yi",
  },
  {
    template:
      '{{ humanizeDuration 0 }} {{ humanizeDuration 1 }} {{ humanizeDuration 60 }} {{ humanizeDuration 3600 }} {{ humanizeDuration 86400 }} {{ humanizeDuration 899.99 }} {{ humanizeDuration -1 }} {{ humanizeDuration 0.0012345 }} {{ humanizeDuration 93784.5 }} {{ humanizeDuration 59.99999 }} {{ humanizeDuration -3725 }} {{ humanizeDuration "1.5" }} {{ humanizeDuration .12345 }}',
    text: "0s 1s 1m 0s 1h 0m 0s 1d 0h 0m 0s 14m 59s -1s 1.234ms 1d 2h 3m 4s 60s -1h 2m 5s 1.5s 123.5ms",
  },
  {
    template:
      '{{ humanizePercentage 0.1234567 }} {{ humanizePercentage 1 }} {{ humanizePercentage -0.5 }} {{ humanizePercentage 0 }} {{ humanizePercentage "0.25" }} {{ humanizePercentage 123456.0 }}',
    text: "12.35% 100% -50% 0% 25% 1.235e+07%",
  },
  {
    template:
      '{{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp 0 }} {{ humanizeTimestamp -1 }} {{ humanizeTimestamp "1435065584" }} {{ humanizeTimestamp 1e9 }}',
    text: "2015-06-23 13:19:44.128 +0000 UTC 1970-01-01 00:00:00 +0000 UTC 1969-12-31 23:59:59 +0000 UTC 2015-06-23 13:19:44 +0000 UTC 2001-09-09 01:46:40 +0000 UTC",
  },
  {
    template: "{{ humanizeTimestamp 1e300 }}",
    text: '<error expanding template: error executing template __alert_T66: template: __alert_T66:1:115: executing "__alert_T66" at <humanizeTimestamp 1e300>: error calling humanizeTimestamp: 1e+300 cannot be represented as a nanoseconds timestamp since it overflows int64>',
  },
  {
    template: '{{ humanize "abc" }}',
    text: '<error expanding template: error executing template __alert_T67: template: __alert_T67:1:115: executing "__alert_T67" at <humanize "abc">: error calling humanize: strconv.ParseFloat: parsing "abc": invalid syntax>',
  },
  {
    template: "{{ humanize true }}",
    text: '<error expanding template: error executing template __alert_T68: template: __alert_T68:1:115: executing "__alert_T68" at <humanize true>: error calling humanize: can\'t convert bool to float>',
  },
  {
    template:
      '{{ toTime 1435065584.128 }} {{ (toTime 1435065584.128).Unix }} {{ (1435065584.128 | toTime).Format "2006-01-02T15:04:05.000Z07:00 Mon Jan _2 3:04PM MST" }} {{ (toTime 0).Year }} {{ (toTime 0).Month }} {{ (toTime 0).Weekday }} {{ printf "%d" (toTime 0).Month }}',
    text: "2015-06-23 13:19:44.128 +0000 UTC 1435065584 2015-06-23T13:19:44.128Z Tue Jun 23 1:19PM UTC 1970 January Thursday 1",
  },
  {
    template:
      '{{ ($value | toTime).Format "Monday, 02-Jan-06 15:04:05.999 -0700" }} {{ (toTime 86399).Hour }}:{{ (toTime 86399).Minute }}',
    text: "Thursday, 01-Jan-70 00:20:34.567 +0000 23:59",
  },
  {
    template: '{{ title "hello wORLD foo-bar a_b c2d é ß" }} {{ toUpper "aé ß x" }} {{ toLower "AÉ X" }}',
    text: "Hello WORLD Foo-Bar A_b C2d É ß AÉ ß X aé x",
  },
  {
    template: '{{ match "a+" "baa" }} {{ match "^a" "ba" }} {{ match "(?i)B" "abc" }}',
    text: "true false true",
  },
  {
    template: '{{ match "(" "x" }}',
    text: '<error expanding template: error executing template __alert_T73: template: __alert_T73:1:115: executing "__alert_T73" at <match "(" "x">: error calling match: error parsing regexp: missing closing ): `(`>',
  },
  {
    template:
      '{{ reReplaceAll "(.*):(\\\\d+)" "$2/$1" $labels.instance }} {{ reReplaceAll "a" "b$$c" "xax" }} {{ reReplaceAll "(?P<n>b)" "<$n>" "abc" }} {{ reReplaceAll "x*" "-" "abc" }} {{ reReplaceAll "(a)" "$1x|$2" "a" }}',
    text: "9100/web-1.example.org xb$cx a<b>c -a-b-c- |",
  },
  { template: '{{ reReplaceAll "localhost:(.*)" "my.domain:$1" "localhost:3000" }}', text: "my.domain:3000" },
  {
    template:
      '{{ stripPort $labels.instance }} {{ stripPort "x" }} {{ stripPort "[::1]:80" }} {{ stripPort "::1" }} {{ stripPort $labels.address }} {{ stripPort ":80" }} {{ stripPort "a:b:c" }}',
    text: "web-1.example.org x ::1 ::1 2001:db8::1  a:b:c",
  },
  {
    template:
      '{{ stripDomain $labels.instance }} {{ stripDomain "www.example.org" }} {{ stripDomain "10.0.0.1" }} {{ stripDomain "10.0.0.1:80" }} {{ stripDomain "localhost" }} {{ stripDomain $labels.address }} {{ stripDomain "::1" }}',
    text: "web-1:9100 www 10.0.0.1 10.0.0.1:80 localhost [2001:db8::1]:80 ::1",
  },
  {
    template:
      '{{ parseDuration "1h30m" }} {{ parseDuration "250ms" }} {{ parseDuration "0" }} {{ parseDuration "1y" }}',
    text: "5400 0.25 0 3.1536e+07",
  },
  {
    template: '{{ parseDuration "5 minutes" }}',
    text: '<error expanding template: error executing template __alert_T79: template: __alert_T79:1:115: executing "__alert_T79" at <parseDuration "5 minutes">: error calling parseDuration: not a valid duration string: "5 minutes">',
  },
  {
    template: '{{ graphLink "up{job=\\"a b\\"}" }} {{ tableLink "rate(x[5m])" }}',
    text: "/graph?g0.expr=up%7Bjob%3D%22a+b%22%7D&g0.tab=0 /graph?g0.expr=rate%28x%5B5m%5D%29&g0.tab=1",
  },
  { template: '{{ safeHtml "<b>" }}', text: "<b>" },
  {
    template:
      '{{ args 1 "b" }} {{ (args 1 "b").arg1 }} {{ (args 1).arg7 }} {{ with args "x" }}{{ .arg0 }}{{ end }}',
    text: "map[arg0:1 arg1:b] b <no value> x",
  },
  {
    template: '{{ range query "queue" | sortByLabel "shard" }}{{ .Labels.shard }}={{ .Value }} {{ end }}',
    text: "a=0.5 b=3 c=12 ",
  },
  {
    template:
      '{{ range $i, $s := query "queue" | sortByLabel "shard" }}{{ if $i }}, {{ end }}{{ $i }}:{{ $s.Labels.shard }}{{ end }}',
    text: "0:a, 1:b, 2:c",
  },
  { template: '{{ range query "nope" }}x{{ else }}none{{ end }}', text: "none" },
  {
    template: "{{ with query \"queue{shard='a'}\" }}{{ . | first | value | humanizePercentage }}{{ end }}",
    text: "50%",
  },
  {
    template:
      '{{ query "queue{shard=\'a\'}" | first | label "shard" }} {{ query "queue{shard=\'a\'}" | first | value }} {{ (query "queue{shard=\'a\'}" | first).Labels.shard }}',
    text: "a 0.5 a",
  },
  { template: "{{ query \"queue{shard='a'}\" | first }}", text: "{map[__name__:queue shard:a] 0.5}" },
  {
    template:
      '{{ printf "%v %+v" (query "queue{shard=\'a\'}" | first) (query "queue{shard=\'a\'}" | first) }}',
    text: "&{map[__name__:queue shard:a] 0.5} &{Labels:map[__name__:queue shard:a] Value:0.5}",
  },
  {
    template: '{{ query "nope" | first }}',
    text: '<error expanding template: error executing template __alert_T90: template: __alert_T90:1:130: executing "__alert_T90" at <first>: error calling first: first() called on vector with no elements>',
  },
  {
    template: '{{ query "nope" | first | value | humanize }}',
    text: '<error expanding template: error executing template __alert_T91: template: __alert_T91:1:130: executing "__alert_T91" at <first>: error calling first: first() called on vector with no elements>',
  },
  {
    template: '{{ len (query "queue") }} {{ (index (query "queue" | sortByLabel "shard") 1).Labels.shard }}',
    text: "3 b",
  },
  {
    template: '{{ index (query "queue") 3 }}',
    text: '<error expanding template: error executing template __alert_T93: template: __alert_T93:1:115: executing "__alert_T93" at <index (query "queue") 3>: error calling index: reflect: slice index out of range>',
  },
  {
    template: '{{ index (query "queue") 4 }}',
    text: '<error expanding template: error executing template __alert_T94: template: __alert_T94:1:115: executing "__alert_T94" at <index (query "queue") 4>: error calling index: index out of range: 4>',
  },
  {
    template: '{{ index (query "queue") "a" }}',
    text: '<error expanding template: error executing template __alert_T95: template: __alert_T95:1:115: executing "__alert_T95" at <index (query "queue") "a">: error calling index: cannot index slice/array with type string>',
  },
  { template: '{{ printf "queue{shard=\'%s\'}" "b" | query | first | value }}', text: "3" },
  { template: '{{ strvalue (query "queue" | first) }}|', text: "|" },
  { template: "{{ with $x := 5 }}{{ $x }}{{ . }}{{ end }}", text: "55" },
  {
    template: "{{ with $labels }}{{ .job }}{{ $.Labels.instance }}{{ end }}",
    text: "apiweb-1.example.org:9100",
  },
  { template: '{{ with "" }}x{{ else }}empty {{ .Labels.job }}{{ end }}', text: "empty api" },
  { template: "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", text: "2" },
  { template: "{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", text: "21" },
  { template: '{{ $labels := "mine" }}{{ $labels }}', text: "mine" },
  {
    template: "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
    text: "address=[2001:db8::1]:80;constructor=own;instance=web-1.example.org:9100;job=api;text=a <b> & 'c' \"d\" é;",
  },
  {
    template: "{{ range $labels }}{{ . }};{{ end }}",
    text: "[2001:db8::1]:80;own;web-1.example.org:9100;api;a <b> & 'c' \"d\" é;",
  },
  { template: "{{ range $v := $externalLabels }}{{ $v }};{{ end }}", text: "external;eu;" },
  {
    template:
      '{{ range query "queue" | sortByLabel "shard" }}{{ if eq .Labels.shard "b" }}{{ continue }}{{ end }}{{ .Labels.shard }}{{ end }}',
    text: "ac",
  },
  {
    template:
      '{{ range query "queue" | sortByLabel "shard" }}{{ if eq .Labels.shard "b" }}{{ break }}{{ end }}{{ .Labels.shard }}{{ end }}',
    text: "a",
  },
  {
    template:
      '{{ define "x" }}<{{ . }}>{{ end }}{{ template "x" $labels.job }}{{ template "x" }}{{ template "x" 1.5 }}',
    text: "<api><<no value>><1.5>",
  },
  {
    template:
      '{{ define "loop" }}{{ template "y" . }}{{ end }}{{ define "y" }}[{{ .job }}]{{ end }}{{ template "loop" $labels }}',
    text: "[api]",
  },
  { template: '{{ block "b" $value }}<{{ . }}>{{ end }}', text: "<1234.5678>" },
  {
    template: '{{ define "d" }}{{ .nope.x }}{{ end }}{{ template "d" $value }}',
    text: '<error expanding template: error executing template __alert_T112: template: __alert_T112:1:136: executing "d" at <.nope.x>: can\'t evaluate field nope in type float64>',
  },
  { template: "a  {{- 1 -}}  b {{ 2 -}}   c   {{- 3 }} d", text: "a1b 2c3 d" },
  { template: "x {{/* comment */}} y {{- /* trimmed */ -}} z", text: "x  yz" },
  { template: '{{ "a" | printf "%s-%s" "b" }} {{ "x" | len | printf "%d" }}', text: "b-a 1" },
  { template: '{{ (printf "%s" "nested") | toUpper | title | printf "%s!" }}', text: "NESTED!" },
  { template: '{{ ((1)) }} {{ (index $labels "job") }}', text: "1 api" },
  {
    template: "{{ with $value }}{{ .foo }}{{ end }}",
    text: '<error expanding template: error executing template __alert_T119: template: __alert_T119:1:132: executing "__alert_T119" at <.foo>: can\'t evaluate field foo in type float64>',
  },
  {
    template: "{{ range $labels }}{{ .x }}{{ end }}",
    text: '<error expanding template: error executing template __alert_T120: template: __alert_T120:1:134: executing "__alert_T120" at <.x>: can\'t evaluate field x in type string>',
  },
  {
    template: "{{ toUpper 5 }}",
    text: '<error expanding template: error executing template __alert_T121: template: __alert_T121:1:123: executing "__alert_T121" at <5>: expected string; found 5>',
  },
  {
    template: "{{ toUpper $value }}",
    text: '<error expanding template: error executing template __alert_T122: template: __alert_T122:1:123: executing "__alert_T122" at <$value>: wrong type for value; expected string; got float64>',
  },
  {
    template: "{{ toUpper }}",
    text: '<error expanding template: error executing template __alert_T123: template: __alert_T123:1:115: executing "__alert_T123" at <toUpper>: wrong number of args for toUpper: want 1 got 0>',
  },
  {
    template: '{{ toUpper "a" "b" }}',
    text: '<error expanding template: error executing template __alert_T124: template: __alert_T124:1:115: executing "__alert_T124" at <toUpper>: wrong number of args for toUpper: want 1 got 2>',
  },
  {
    template: "{{ $value | toUpper }}",
    text: '<error expanding template: error executing template __alert_T125: template: __alert_T125:1:124: executing "__alert_T125" at <toUpper>: wrong type for value; expected string; got float64>',
  },
  {
    template: "{{ $value 1 }}",
    text: '<error expanding template: error executing template __alert_T127: template: __alert_T127:1:115: executing "__alert_T127" at <$value>: can\'t give argument to non-function $value>',
  },
  {
    template: "{{ nil }}",
    text: '<error expanding template: error executing template __alert_T128: template: __alert_T128:1:115: executing "__alert_T128" at <nil>: nil is not a command>',
  },
  {
    template: '{{ $labels.job "x" }}',
    text: '<error expanding template: error executing template __alert_T129: template: __alert_T129:1:122: executing "__alert_T129" at <$labels.job>: job is not a method but has arguments>',
  },
  {
    template: "{{ .Value 1 }}",
    text: '<error expanding template: error executing template __alert_T130: template: __alert_T130:1:115: executing "__alert_T130" at <.Value>: Value has arguments but cannot be invoked as function>',
  },
  {
    template: "{{ first $labels }}",
    text: '<error expanding template: error executing template __alert_T131: template: __alert_T131:1:121: executing "__alert_T131" at <$labels>: wrong type for value; expected template.queryResult; got map[string]string>',
  },
  {
    template: "{{ len 3 }}",
    text: '<error expanding template: error executing template __alert_T132: template: __alert_T132:1:115: executing "__alert_T132" at <len 3>: error calling len: len of type int>',
  },
  {
    template: "{{ len nil }}",
    text: '<error expanding template: error executing template __alert_T133: template: __alert_T133:1:115: executing "__alert_T133" at <len nil>: error calling len: reflect: call of reflect.Value.Type on zero Value>',
  },
  {
    template: "{{ index $labels 1 }}",
    text: '<error expanding template: error executing template __alert_T134: template: __alert_T134:1:115: executing "__alert_T134" at <index $labels 1>: error calling index: value has type int; should be string>',
  },
  {
    template: "{{ index 1 2 }}",
    text: '<error expanding template: error executing template __alert_T135: template: __alert_T135:1:115: executing "__alert_T135" at <index 1 2>: error calling index: can\'t index item of type int>',
  },
  {
    template: '{{ slice "abc" 2 1 }}',
    text: '<error expanding template: error executing template __alert_T136: template: __alert_T136:1:115: executing "__alert_T136" at <slice "abc" 2 1>: error calling slice: invalid slice index: 2 > 1>',
  },
  {
    template: '{{ slice "abc" 5 }}',
    text: '<error expanding template: error executing template __alert_T137: template: __alert_T137:1:115: executing "__alert_T137" at <slice "abc" 5>: error calling slice: index out of range: 5>',
  },
  {
    template: "{{ value nil }}",
    text: '<error expanding template: error executing template __alert_T138: template: __alert_T138:1:115: executing "__alert_T138" at <value nil>: error calling value: runtime error: invalid memory address or nil pointer dereference>',
  },
  {
    template: "{{ printf 5 }}",
    text: '<error expanding template: error executing template __alert_T139: template: __alert_T139:1:122: executing "__alert_T139" at <5>: expected string; found 5>',
  },
  {
    template: "{{ humanize nil }}",
    text: '<error expanding template: error executing template __alert_T140: template: __alert_T140:1:115: executing "__alert_T140" at <humanize nil>: error calling humanize: can\'t convert <nil> to float>',
  },
  {
    template: "{{ range $value }}x{{ end }}",
    text: '<error expanding template: error executing template __alert_T141: template: __alert_T141:1:121: executing "__alert_T141" at <$value>: range can\'t iterate over 1234.5678>',
  },
  {
    template: '{{ range "abc" }}x{{ end }}',
    text: '<error expanding template: error executing template __alert_T142: template: __alert_T142:1:121: executing "__alert_T142" at <"abc">: range can\'t iterate over abc>',
  },
  {
    template: "{{ eq }}",
    text: '<error expanding template: error executing template __alert_T143: template: __alert_T143:1:115: executing "__alert_T143" at <eq>: wrong number of args for eq: want at least 1 got 0>',
  },
  {
    template: "{{ eq 1 }}",
    text: '<error expanding template: error executing template __alert_T144: template: __alert_T144:1:115: executing "__alert_T144" at <eq 1>: error calling eq: missing argument for comparison>',
  },
  {
    template: "{{ and }}",
    text: '<error expanding template: error executing template __alert_T145: template: __alert_T145:1:115: executing "__alert_T145" at <and>: wrong number of args for and: want at least 1 got 0>',
  },
  {
    template: '{{ label "x" "y" }}',
    text: '<error expanding template: error executing template __alert_T146: template: __alert_T146:1:125: executing "__alert_T146" at <"y">: can\'t handle "y" for arg of type *template.sample>',
  },
  {
    template: '{{ sortByLabel 1 (query "queue") }}',
    text: '<error expanding template: error executing template __alert_T147: template: __alert_T147:1:127: executing "__alert_T147" at <1>: expected string; found 1>',
  },
  {
    template: "{{ parseDuration }}",
    text: '<error expanding template: error executing template __alert_T148: template: __alert_T148:1:115: executing "__alert_T148" at <parseDuration>: wrong number of args for parseDuration: want 1 got 0>',
  },
  {
    template: "{{ humanize $labels }}",
    text: '<error expanding template: error executing template __alert_T149: template: __alert_T149:1:115: executing "__alert_T149" at <humanize $labels>: error calling humanize: can\'t convert map[string]string to float>',
  },
  {
    template: '{{ match 1 "a" }}',
    text: '<error expanding template: error executing template __alert_T150: template: __alert_T150:1:121: executing "__alert_T150" at <1>: expected string; found 1>',
  },
  {
    template: "{{ query 1 }}",
    text: '<error expanding template: error executing template __alert_T151: template: __alert_T151:1:121: executing "__alert_T151" at <1>: expected string; found 1>',
  },
  {
    template:
      '{{ $x := query "queue" }}{{ range sortByLabel "shard" $x }}{{ .Labels.shard }}{{ end }}{{ range $x }}{{ .Labels.shard }}{{ end }}',
    text: "abcabc",
  },
  {
    template:
      '{{ printf "%v" (toTime 0) }} {{ printf "%s|%q|%d" (toTime 0) (toTime 0).Month (toTime 0).Month }}',
    text: '1970-01-01 00:00:00 +0000 UTC 1970-01-01 00:00:00 +0000 UTC|"January"|1',
  },
  {
    template: 'é {{ humanize "x" }}',
    text: '<error expanding template: error executing template __alert_T156: template: __alert_T156:1:118: executing "__alert_T156" at <humanize "x">: error calling humanize: strconv.ParseFloat: parsing "x": invalid syntax>',
  },
  {
    template: "{{ 1 2 }}",
    text: '<error expanding template: error executing template __alert_T166: template: __alert_T166:1:115: executing "__alert_T166" at <1>: can\'t give argument to non-function 1>',
  },
  { template: '{{ printf "%s" "a" "b" | }}', text: "a%!(EXTRA string=b)" },
  {
    template: "{{ .Labels.job | .Value }}",
    text: '<error expanding template: error executing template __alert_T168: template: __alert_T168:1:129: executing "__alert_T168" at <.Value>: Value has arguments but cannot be invoked as function>',
  },
  {
    template: "{{ . }}",
    text: "{map[address:[2001:db8::1]:80 constructor:own instance:web-1.example.org:9100 job:api text:a <b> & 'c' \"d\" é] map[constructor:external region:eu] http://weir.example.org:9090/base 1234.5678}",
  },
  {
    template: "{{ $ }}",
    text: "{map[address:[2001:db8::1]:80 constructor:own instance:web-1.example.org:9100 job:api text:a <b> & 'c' \"d\" é] map[constructor:external region:eu] http://weir.example.org:9090/base 1234.5678}",
  },
  {
    template: "{{ 9223372036854775807 }} {{ -9223372036854775808 }}",
    text: "9223372036854775807 -9223372036854775808",
  },
  { template: "{{ if $value }}{{ else if true }}{{ end }}{{ with 1 }}{{ else }}{{ end }}x", text: "x" },
  { template: "{{ if gt (len $labels) 3 }}many{{ end }}", text: "many" },
  { template: '{{ if eq (printf "%.0f" $value) "1235" }}rounded{{ end }}', text: "rounded" },
  { template: '{{ $labels.instance | reReplaceAll ":.*" "" }}', text: "web-1.example.org" },
  {
    template:
      '{{ range $i, $v := query "queue" | sortByLabel "shard" }}{{ $v.Value | printf "%.1f" }}{{ end }}',
    text: "0.53.012.0",
  },
  { template: '{{ printf "%s is %s" $labels.job (humanize $value) }}', text: "api is 1.235k" },
  {
    template:
      "{{ $value | humanizeDuration }} {{ $value | humanize }} {{ $value | humanizePercentage }} {{ humanize1024 $value }}B",
    text: "20m 34s 1.235k 1.235e+05% 1.206kiB",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "NaN NaN NaN NaN NaN% NaN|NaN|NaN|  NaN|NaN|     NaN| NaN|NaN",
    value: "NaN",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "+Inf +Inf +Inf +Inf +Inf% +Inf|+Inf|+Inf| +Inf|+Inf|    +Inf| Inf|+Inf",
    value: "Inf",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "-Inf -Inf -Inf -Inf -Inf% -Inf|-Inf|-Inf| -Inf|-Inf|    -Inf|-Inf|-Inf",
    value: "-Inf",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "0 0 0 0s 0% 0.00|0.000000e+00|0|  0.0|0|00000.00| 0|0x0p+00",
    value: "0",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "1e-07 100n 1e-07 100ns 1e-05% 0.00|1.000000e-07|1e-07|  0.0|1e-07|00000.00| 1e-07|0x1.ad7f29abcaf48p-24",
    value: "1e-7",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "1e+21 1Z 867.4Ei -106751991167300d -15h -30m -8s 1e+23% 1000000000000000000000.00|1.000000e+21|1e+21|1000000000000000000000.0|1e+21|1000000000000000000000.00| 1e+21|0x1.b1ae4d6e2ef5p+69",
    value: "1e21",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "1e+06 1M 976.6ki 11d 13h 46m 40s 1e+08% 1000000.00|1.000000e+06|1e+06|1000000.0|1e+06|1000000.00| 1e+06|0x1.e848p+19",
    value: "1e6",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "1.23456789e+08 123.5M 117.7Mi 1428d 21h 33m 9s 1.235e+10% 123456789.00|1.234568e+08|1.23456789e+08|123456789.0|1.23456789e+08|123456789.00| 1.23456789e+08|0x1.d6f3454p+26",
    value: "123456789",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "0.30000000000000004 300m 0.3 300ms 30% 0.30|3.000000e-01|0.30000000000000004|  0.3|0.30000000000000004|00000.30| 0.30000000000000004|0x1.3333333333334p-02",
    value: "0.1+0.2",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "3 3 3 3s 300% 3.00|3.000000e+00|3|  3.0|3|00003.00| 3|0x1.8p+01",
    value: "3",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "1e+100 1e+76Y 8.272e+75Yi -106751991167300d -15h -30m -8s 1e+102% 10000000000000000159028911097599180468360808563945281389781327557747838772170381060813469985856815104.00|1.000000e+100|1e+100|10000000000000000159028911097599180468360808563945281389781327557747838772170381060813469985856815104.0|1e+100|10000000000000000159028911097599180468360808563945281389781327557747838772170381060813469985856815104.00| 1e+100|0x1.249ad2594c37dp+332",
    value: "1e100",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "1e-320 1e-296y 1e-320 1e-296ys 1e-318% 0.00|9.999889e-321|1e-320|  0.0|1e-320|00000.00| 1e-320|0x1.fap-1064",
    value: "1e-320",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "-2.5 -2.5 -2.5 -2.5s -250% -2.50|-2.500000e+00|-2.5| -2.5|-2.5|-0002.50|-2.5|-0x1.4p+01",
    value: "-2.5",
  },
  {
    template:
      '{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ printf "%.2f|%e|%g|%5.1f|%+v|%08.2f|% v|%x" $value $value $value $value $value $value $value $value }}',
    text: "9.007199254740992e+15 9.007P 8Pi 104249991374d 7h 36m 32s 9.007e+17% 9007199254740992.00|9.007199e+15|9.007199254740992e+15|9007199254740992.0|9.007199254740992e+15|9007199254740992.00| 9.007199254740992e+15|0x1p+53",
    value: "2^53",
  },
  { template: "{{ humanizeTimestamp $value }}", text: "NaN", value: "NaN" },
  {
    template: "{{ toTime $value }}",
    text: '<error expanding template: error executing template __alert_T201: template: __alert_T201:1:115: executing "__alert_T201" at <toTime $value>: error calling toTime: value is NaN or Inf>',
    value: "NaN",
  },
  { template: "{{ humanizeTimestamp $value }}", text: "+Inf", value: "Inf" },
  {
    template: "{{ toTime $value }}",
    text: '<error expanding template: error executing template __alert_T203: template: __alert_T203:1:115: executing "__alert_T203" at <toTime $value>: error calling toTime: value is NaN or Inf>',
    value: "Inf",
  },
  {
    template: "{{ humanizeTimestamp $value }}",
    text: "2015-06-23 13:19:44.128 +0000 UTC",
    value: "1435065584.128",
  },
  { template: "{{ toTime $value }}", text: "2015-06-23 13:19:44.128 +0000 UTC", value: "1435065584.128" },
  {
    template:
      "{{ if $value }}true{{ else }}false{{ end }} {{ eq $value $value }} {{ lt $value 1.0 }} {{ gt $value 1.0 }} {{ le $value 1.0 }} {{ ge $value 1.0 }}",
    text: "true false false true false true",
    value: "NaN",
  },
  {
    template:
      "{{ if $value }}true{{ else }}false{{ end }} {{ eq $value $value }} {{ lt $value 1.0 }} {{ gt $value 1.0 }} {{ le $value 1.0 }} {{ ge $value 1.0 }}",
    text: "false true true false true false",
    value: "0",
  },
  {
    template:
      "{{ if $value }}true{{ else }}false{{ end }} {{ eq $value $value }} {{ lt $value 1.0 }} {{ gt $value 1.0 }} {{ le $value 1.0 }} {{ ge $value 1.0 }}",
    text: "true true false false true true",
    value: "1",
  },
  {
    template: "{{ humanizeDuration 1e19 }} {{ humanizeDuration -1e19 }}",
    text: "-106751991167300d -15h -30m -8s --106751991167300d -15h -30m -8s",
  },
  {
    template: '{{ printf "%+v|%+d|%+s|%+q|%+x" 5 5 "a" "é" 5 }} {{ printf "%v %+v" 5 -5.5 }}',
    text: '5|+5|a|"\\u00e9"|+5 5 -5.5',
  },
  {
    template: '{{ printf "%6.3v|%-10v|%10v|%05v" 3.14159 "ab" 42 42 }}',
    text: "  3.14|ab        |        42|00042",
  },
  {
    template: '{{ printf "%08.3f|%-8.3f|%+08.3f|% 8.3f|%8.3e" -3.14159 -3.14159 3.14159 3.14159 -3.14159 }}',
    text: "-003.142|-3.142  |+003.142|   3.142|-3.142e+00",
  },
  {
    template: '{{ printf "%5t|%q|%#q|%#o|%#b|%#X|%O" true 39 65 8 5 255 8 }}',
    text: " true|'\\''|'A'|010|0b101|0XFF|0o10",
  },
  {
    template: '{{ printf "%10.3s|%-10q|%3c|%-5U|" "abcdef" "x" 65 65 }}',
    text: '       abc|"x"       |  A|U+0041|',
  },
  {
    template: '{{ printf "%s %s" $labels.job }} {{ printf "%d%%" 5 }} {{ printf "%5%" }}',
    text: "api %!s(MISSING) 5% %",
  },
  { template: '{{ printf "%-5d|% x|%# x|%x" 7 "ab" "ab" "" }}', text: "7    |61 62|0x61 0x62|" },
  {
    template: '{{ printf "%.1f %.1f %.1f %.2f %.2f %.3f" 0.05 0.15 0.45 2.675 1.115 1.0005 }}',
    text: "0.1 0.1 0.5 2.67 1.11 1.000",
  },
  {
    template: '{{ printf "%.10g %.15g %.17g %.20f" 0.1 0.1 0.1 0.1 }}',
    text: "0.1 0.1 0.10000000000000001 0.10000000000000000555",
  },
  { template: '{{ printf "%.3e %.0e %e" 9999.5 95.0 0.0 }}', text: "1.000e+04 1e+02 0.000000e+00" },
  {
    template: '{{ printf "%.0f %.0f %.3g %.1g %.0g" 999999999999999999999.0 1e22 999.5 0.95 1.5 }}',
    text: "1000000000000000000000 10000000000000000000000 1e+03 0.9 2",
  },
  {
    template:
      '{{ print nil }} {{ print nil nil }} {{ print true false }} {{ print $labels.nope "x" }} {{ print 1.5 nil }}',
    text: "<nil> <nil> <nil> true false x 1.5 <nil>",
  },
  {
    template: '{{ printf "%v" (args 1 nil "x") }} {{ html nil }} {{ print (args nil) }}',
    text: "map[arg0:1 arg1:<nil> arg2:x] &lt;no value&gt; map[arg0:<nil>]",
  },
  {
    template: '{{ $a := args 1 2 }}{{ index $a "arg1" }}{{ index $a "zz" }}{{ len $a }}',
    text: "2<no value>2",
  },
  { template: '{{ if not (match "^web" $labels.instance) }}a{{ else }}b{{ end }}', text: "b" },
  { template: "{{ with $labels.nope }}a{{ else }}none{{ end }}", text: "none" },
  { template: '{{ if and $labels.job (ne $labels.job "x") }}ok{{ end }}', text: "ok" },
  { template: '{{ or $labels.nope "unknown" }}', text: "unknown" },
  { template: '{{ and $labels.nope (index 1 2) }}|{{ or "x" (index 1 2) }}', text: "|x" },
  { template: '{{ "x" | eq "x" }} {{ 5 | lt 3 }} {{ 0 | and 1 }} {{ 2 | or 0 }}', text: "true true 0 2" },
  { template: "{{ true | not }}", text: "false" },
  { template: '{{ $labels.job | printf "%s/%s" "a" | toUpper }}', text: "A/API" },
  {
    template: 'multi\nline {{ $value\n| humanize }}\n {{- "x" }}\n{{ humanize "bad" }}',
    text: '<error expanding template: error executing template __alert_T232: template: __alert_T232:5:3: executing "__alert_T232" at <humanize "bad">: error calling humanize: strconv.ParseFloat: parsing "bad": invalid syntax>',
  },
  {
    template: '日本 {{ humanize "bad" }}',
    text: '<error expanding template: error executing template __alert_T233: template: __alert_T233:1:122: executing "__alert_T233" at <humanize "bad">: error calling humanize: strconv.ParseFloat: parsing "bad": invalid syntax>',
  },
  {
    template:
      '{{ range $i, $e := query "queue" }}{{ range $j, $f := query "queue" }}{{ if gt $j $i }}{{ break }}{{ end }}{{ $j }}{{ end }};{{ end }}',
    text: "0;01;012;",
  },
  {
    template:
      '{{ define "r" }}{{ if . }}{{ slice . 0 1 }}-{{ template "r" (slice . 1) }}{{ end }}{{ end }}{{ template "r" "abc" }}',
    text: "a-b-c-",
  },
  {
    template:
      '{{ stripPort "[::1%eth0]:80" }} {{ stripPort "a]:80" }} {{ stripDomain "a.b:c:d" }} {{ stripDomain "" }} {{ stripPort "" }}',
    text: "::1%eth0 a]:80 a  ",
  },
  {
    template:
      '{{ stripDomain "256.1.1.1" }} {{ stripDomain "1.2.3" }} {{ stripDomain "01.2.3.4" }} {{ stripDomain "::ffff:1.2.3.4" }} {{ stripDomain "[fe80::1]" }}',
    text: "256 1 01 ::ffff:1.2.3.4 [fe80::1]",
  },
  {
    template: '{{ title "" }} {{ title "x" }} {{ title "o\'neil a.b" }} {{ title "élan ŉ" }}',
    text: " X O'Neil A.B Élan ŉ",
  },
  {
    template:
      '{{ match "[[:alpha:]]+$" "ab1" }} {{ reReplaceAll "[aeiou]" "" "education" }} {{ reReplaceAll "^" ">" "x" }} {{ reReplaceAll "(\\\\w)(\\\\w)" "$2$1" "abcd" }}',
    text: "false dctn >x badc",
  },
  {
    template: '{{ reReplaceAll "(" "x" "y" }}',
    text: '<error expanding template: error executing template __alert_T240: template: __alert_T240:1:115: executing "__alert_T240" at <reReplaceAll "(" "x" "y">: error calling reReplaceAll: regexp: Compile(`(`): error parsing regexp: missing closing ): `(`>',
  },
  {
    template:
      "{{ humanize1024 1024 }} {{ humanize1024 1073741824.0 }} {{ humanize 1000 }} {{ humanize 1e15 }}",
    text: "1ki 1Gi 1k 1P",
  },
  { template: "{{ humanizePercentage 0.99999 }} {{ humanizePercentage 0.12345678 }}", text: "100% 12.35%" },
  {
    template: '{{ (query "queue" | first).Value }} {{ (query "queue" | first).Nope }}',
    text: '<error expanding template: error executing template __alert_T243: template: __alert_T243:1:168: executing "__alert_T243" at <first>: can\'t evaluate field Nope in type *template.sample>',
  },
  {
    template:
      "{{ $s := query \"queue{shard='a'}\" | first }}{{ $s.Labels.shard }} {{ $s.Value }} {{ $s.Labels.nope }}|",
    text: "a 0.5 |",
  },
  { template: '{{ with query "queue" }}{{ len . }}{{ end }}', text: "3" },
  { template: '{{ range $k, $v := args 1 "x" }}{{ $k }}{{ $v }}{{ end }}', text: "arg01arg1x" },
  { template: '{{ (index (args 1 (args "in")) "arg1").arg0 }}', text: "in" },
  { template: '{{ urlquery "ü" "x" 1 }} {{ html true 1.5 }} {{ js 1 "a" }}', text: "%C3%BCx1 true 1.5 1a" },
  { template: "{{ len (args) }} {{ args }}", text: "0 map[]" },
  {
    template: '{{ printf "%s" (args) }} {{ printf "%d" (args "x") }}',
    text: "map[] map[%!d(string=arg0):%!d(string=x)]",
  },
  {
    template: '{{ toTime "abc" }}',
    text: '<error expanding template: error executing template __alert_T252: template: __alert_T252:1:115: executing "__alert_T252" at <toTime "abc">: error calling toTime: strconv.ParseFloat: parsing "abc": invalid syntax>',
  },
  {
    template: "{{ (toTime 1435065584).Nope }}",
    text: '<error expanding template: error executing template __alert_T253: template: __alert_T253:1:123: executing "__alert_T253" at <1435065584>: can\'t evaluate field Nope in type *time.Time>',
  },
  {
    template:
      "{{ (toTime 1435065584.999).UnixNano }} {{ (toTime 1435065584).YearDay }} {{ (toTime 1435065584).IsZero }} {{ ((toTime 10).Sub (toTime 3)).Seconds }} {{ (toTime 10).Sub (toTime 3.5) }} {{ (toTime 10).After (toTime 3) }}",
    text: "1435065584999000000 174 false 7 6.5s true",
  },
  {
    template: '{{ (toTime 1435065584).Format "Jan _2 06 03:04:05PM .00 002 __2 Z0700 -07 pm 1/2 3:4:5" }}',
    text: "Jun 23 15 01:19:44PM .00 174 174 Z +00 pm 6/23 1:19:44",
  },
  {
    template: '{{ (toTime 1435065584).Format "January Janet Monday Mondays 2006-01-02 15h" }}',
    text: "June Janet Tuesday Tuesdays 2015-06-23 13h",
  },
  {
    template: '{{ printf "%5U|%+d|%20d|%.1f|%-8t|%8.3x" "a" 1.5 "x" "abc" "y" true }}',
    text: "%!U(string=    a)|%!d(float64=+1.5)|%!d(string=                   x)|%!f(string=a)|%!t(string=y       )|%!x(bool=    true)",
  },
  {
    template: '{{ printf "%d|%5q|%w" (args 1 nil) (args "x" nil) (args 1) }}',
    text: 'map[%!d(string=arg0):1 %!d(string=arg1):<nil>]|map["arg0":  "x" "arg1":<nil>]|%!w(map[string]interface {}=map[arg0:1])',
  },
  {
    template: '{{ printf "%#U %#U %#O %#o %#x" 65 -1 8 8 255 }}',
    text: "U+0041 'A' U+FFFFFFFFFFFFFFFF 0o010 010 0xff",
  },
];
