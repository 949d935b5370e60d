use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::soap::{Call, Mapping, Reply, SoapError, Told};
use super::ssdp::Target;
use super::*;
use crate::port_mapping::{Transport, Wish};

const GATEWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 1));
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 5));

const WISH: Wish = Wish {
    transport: Transport::Tcp,
    internal: 6881,
    external: 6881,
    lifetime: 3600,
};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn a_search_names_what_it_seeks() {
    let due = "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\n\
               ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";
    assert_eq!(ssdp::search(Target::Gateway1), due.as_bytes());
}

#[test]
fn answers_to_a_search_are_read_however_they_are_written() {
    let location = url("http://192.168.1.1:5000/rootDesc.xml");
    let found = |target| {
        Some(ssdp::Found {
            target,
            location: location.clone(),
        })
    };
    let miniupnpd = "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n\
        ST: urn:schemas-upnp-org:service:WANIPConnection:2\r\nUSN: uuid:1::urn:x\r\nEXT:\r\n\
        SERVER: Linux UPnP/1.1 MiniUPnPd/2.3.1\r\nLOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n";
    let target = Target::Service(Service::Ip2);
    assert_eq!(ssdp::read(miniupnpd.as_bytes()), found(target));
    let sloppy = "http/1.0 200\nlocation:http://192.168.1.1:5000/rootDesc.xml  \nno colon\n\
        st: URN:schemas-upnp-org:device:InternetGatewayDevice:2";
    assert_eq!(ssdp::read(sloppy.as_bytes()), found(Target::Gateway2));
    for none in [
        "",
        "HTTP/1.1 200 OK\r\n\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://a/\r\n",
        "HTTP/1.1 404 No\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://a/\r\n\r\n",
        "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://a/\r\n\r\n",
        "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: over there\r\n\r\n",
        "NOTIFY * HTTP/1.1\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://a/\r\n\r\n",
    ] {
        assert_eq!(ssdp::read(none.as_bytes()), None, "{none}");
    }
    let mut long = b"HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: http://a/".to_vec();
    long.extend([b'a'; 600]);
    assert_eq!(ssdp::read(&long), None);
}

#[test]
fn only_the_gateway_itself_is_led_to() {
    for (text, allowed) in [
        ("http://192.168.1.1/", true),
        ("http://192.168.1.1:5000/rootDesc.xml?x", true),
        ("http://0xc0a80101/", true),
        ("https://192.168.1.1/", false),
        ("http://192.168.1.2/", false),
        ("http://127.0.0.1/", false),
        ("http://9.9.9.9/", false),
        ("http://router.example/", false),
        ("http://192.168.1.1.example/", false),
        ("http://user@192.168.1.1/", false),
        ("http://192.168.1.1:0/", false),
        ("http://[::ffff:192.168.1.1]/", false),
        ("file:///etc/passwd", false),
        ("ftp://192.168.1.1/", false),
    ] {
        assert_eq!(leads_to(&url(text), GATEWAY), allowed, "{text}");
    }
    assert!(leads_to(
        &url("http://[fd00::1]:80/"),
        "fd00::1".parse().unwrap()
    ));
}

/// A description as gateways write it: the services stand deep inside, beside others.
fn description(base: &str, services: &[(&str, &str)]) -> String {
    let mut list = String::new();
    for (urn, control) in services {
        let _ = write!(
            list,
            "<service><serviceType>{urn}</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>\
             <SCPDURL>/WANIPCn.xml</SCPDURL><controlURL>{control}</controlURL><eventSubURL>/evt</eventSubURL></service>"
        );
    }
    format!(
        "<?xml version=\"1.0\"?>\r\n<root xmlns=\"urn:schemas-upnp-org:device-1-0\"><specVersion><major>1</major>\
         </specVersion>{base}<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>\
         <friendlyName>Bed & Breakfast &#x263A;</friendlyName><iconList/><serviceList><service><serviceType>\
         urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/ctl/L3F</controlURL></service>\
         </serviceList><deviceList><device><deviceList><device><!-- here --><serviceList>{list}</serviceList></device>\
         </deviceList></device></deviceList></device></root>\0\0"
    )
}

fn controls(document: &str) -> Vec<(Service, String)> {
    let at = url("http://192.168.1.1:5000/dir/rootDesc.xml");
    let read = description::read(document.as_bytes(), &at).unwrap();
    let controls = read.into_iter();
    controls
        .map(|control| (control.service, control.url.to_string()))
        .collect()
}

#[test]
fn services_are_found_wherever_they_stand() {
    let (ip1, ip2, ppp) = (Service::Ip1.urn(), Service::Ip2.urn(), Service::Ppp1.urn());
    let text = description(
        "",
        &[
            (ppp, "/ctl/PPP"),
            ("urn:other", "/no"),
            (ip1, "ctl?a=1&amp;b=2"),
            (ip2, ""),
        ],
    );
    let due = [
        (Service::Ppp1, "http://192.168.1.1:5000/ctl/PPP".to_owned()),
        (
            Service::Ip1,
            "http://192.168.1.1:5000/dir/ctl?a=1&b=2".to_owned(),
        ),
    ];
    assert_eq!(controls(&text), due);
    let base = "<URLBase>http://192.168.1.1:80/base/</URLBase>";
    assert_eq!(
        controls(&description(base, &[(ip2, "<![CDATA[ctl]]>")])),
        [(Service::Ip2, "http://192.168.1.1/base/ctl".to_owned())]
    );
    // An address that the device has had, and one that is none: what it was found at counts.
    for base in ["http://10.0.0.138/", "not a URL", ""] {
        let base = format!("<URLBase>{base}</URLBase>");
        assert_eq!(
            controls(&description(&base, &[(ip1, "/c")])),
            [(Service::Ip1, "http://192.168.1.1:5000/c".to_owned())]
        );
    }
    // Where the device sends us is for the caller to judge.
    assert_eq!(
        controls(&description("", &[(ip1, "http://127.0.0.1:631/admin")])),
        [(Service::Ip1, "http://127.0.0.1:631/admin".to_owned())]
    );
    let many = vec![(ip1, "/c"); 50];
    assert_eq!(
        controls(&description("", &many)).len(),
        description::MOST_SERVICES
    );
    assert_eq!(controls("<html><body>Log in<br/></body></html>"), []);
}

#[test]
fn what_is_no_description_is_refused_and_no_bomb_goes_off() {
    let at = url("http://192.168.1.1/");
    let read = |text: &[u8]| description::read(text, &at);
    let mut bomb = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\">".to_owned();
    for level in 1..10 {
        let _ = write!(bomb, "<!ENTITY lol{level} \"&lol{};&lol{0};\">", level - 1);
    }
    bomb.push_str("]><root>&lol9;</root>");
    assert_eq!(read(bomb.as_bytes()), Err(XmlError::DocumentType));
    let file = "<!DOCTYPE x [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><root>&x;</root>";
    assert_eq!(read(file.as_bytes()), Err(XmlError::DocumentType));
    assert_eq!(read(&b"<a>".repeat(33)), Err(XmlError::TooMany));
    assert_eq!(read(&b"<a>".repeat(32)), Err(XmlError::Truncated));
    let wide = format!("<r>{}</r>", "<a/>".repeat(MOST_ELEMENTS));
    assert_eq!(read(wide.as_bytes()), Err(XmlError::TooMany));
    let whole = format!("<r>{}</r>", "<a/>".repeat(MOST_ELEMENTS - 1));
    assert_eq!(read(whole.as_bytes()), Ok(Vec::new()));
    for (text, error) in [
        ("", XmlError::Truncated),
        ("   ", XmlError::Truncated),
        ("Not Found", XmlError::Truncated),
        ("<root", XmlError::Malformed),
        ("<root><a></root>", XmlError::Malformed),
        ("</root>", XmlError::Malformed),
        ("<root>", XmlError::Truncated),
    ] {
        assert_eq!(read(text.as_bytes()), Err(error), "{text}");
    }
    // References that nobody has defined stand for nothing, and too long a text counts as none.
    let ip1 = Service::Ip1.urn();
    assert_eq!(
        controls(&description("", &[(ip1, "/a&lol;b")])),
        [(Service::Ip1, "http://192.168.1.1:5000/ab".to_owned())]
    );
    let long = "a".repeat(LONGEST_TEXT + 1);
    assert_eq!(controls(&description("", &[(ip1, &long)])), []);
}

fn mapping(lease: u32) -> Mapping {
    Mapping {
        transport: Transport::Udp,
        external: 50_000,
        client: CLIENT,
        internal: 6881,
        lease,
    }
}

#[test]
fn requests_are_written_as_the_specification_says() {
    let call = Call::Add(mapping(3600));
    assert_eq!(
        call.action(Service::Ip1),
        "\"urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping\""
    );
    let due = "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
        s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:AddPortMapping \
        xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\"><NewRemoteHost></NewRemoteHost>\
        <NewExternalPort>50000</NewExternalPort><NewProtocol>UDP</NewProtocol><NewInternalPort>6881</NewInternalPort>\
        <NewInternalClient>192.168.1.5</NewInternalClient><NewEnabled>1</NewEnabled><NewPortMappingDescription>\
        tribler-rs UDP 6881</NewPortMappingDescription><NewLeaseDuration>3600</NewLeaseDuration></u:AddPortMapping>\
        </s:Body></s:Envelope>\r\n";
    assert_eq!(call.body(Service::Ip1), due);
    let call = Call::Delete(Transport::Tcp, 7);
    assert!(call.body(Service::Ppp1).contains(
        "<u:DeletePortMapping xmlns:u=\"urn:schemas-upnp-org:service:WANPPPConnection:1\"><NewRemoteHost>\
         </NewRemoteHost><NewExternalPort>7</NewExternalPort><NewProtocol>TCP</NewProtocol></u:DeletePortMapping>"
    ));
}

fn answer(name: &str, arguments: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
         <u:{name}Response xmlns:u=\"urn:x\">{arguments}</u:{name}Response></s:Body></s:Envelope>"
    )
}

fn refusal(code: &str) -> String {
    format!(
        "<s:Envelope><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>\
         <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\">{code}<errorDescription>No & no</errorDescription>\
         </UPnPError></detail></s:Fault></s:Body></s:Envelope>"
    )
}

#[test]
fn replies_are_read() {
    let add = Call::Add(mapping(0));
    let read = |call: &Call, text: &str| call.read(text.as_bytes());
    let nothing = Reply::Done(Told::default());
    assert_eq!(read(&add, &answer("AddPortMapping", "")), Ok(nothing));
    assert_eq!(
        read(
            &add,
            "<Envelope><Body><AddPortMappingResponse/></Body></Envelope>"
        ),
        Ok(nothing)
    );
    let ip = |text: &str| {
        let arguments = format!("<NewExternalIPAddress>{text}</NewExternalIPAddress>");
        match read(
            &Call::ExternalAddress,
            &answer("GetExternalIPAddress", &arguments),
        ) {
            Ok(Reply::Done(told)) => told.external_ip,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ip(" 9.8.7.6 "), "9.8.7.6".parse().ok());
    for none in ["", "0.0.0.0", "gateway", "9.8.7.6.5", "999.1.1.1"] {
        assert_eq!(ip(none), None, "{none}");
    }
    let reserved = answer(
        "AddAnyPortMapping",
        "<NewReservedPort>50001</NewReservedPort>",
    );
    let told = Told {
        external: Some(50_001),
        ..Told::default()
    };
    assert_eq!(
        read(&Call::AddAny(mapping(0)), &reserved),
        Ok(Reply::Done(told))
    );
    let entry = Call::Entry(Transport::Udp, 50_000);
    let text = answer(
        "GetSpecificPortMappingEntry",
        "<NewInternalPort>6881</NewInternalPort><NewInternalClient>192.168.1.5</NewInternalClient>\
         <NewEnabled>1</NewEnabled><NewPortMappingDescription>x</NewPortMappingDescription>\
         <NewLeaseDuration>3599</NewLeaseDuration>",
    );
    let told = Told {
        internal: Some(6881),
        client: Some(CLIENT),
        lease: Some(3599),
        ..Told::default()
    };
    assert_eq!(read(&entry, &text), Ok(Reply::Done(told)));
    for (code, refused) in [
        ("<errorCode>718</errorCode>", 718),
        ("<errorCode> 402\r\n</errorCode>", 402),
        ("", soap::ACTION_FAILED),
        ("<errorCode>many</errorCode>", soap::ACTION_FAILED),
        ("<errorCode>70000</errorCode>", soap::ACTION_FAILED),
    ] {
        assert_eq!(
            read(&add, &refusal(code)),
            Ok(Reply::Refused(refused)),
            "{code}"
        );
    }
    // What answers another question, or is no reply at all, is none.
    assert_eq!(read(&add, &reserved), Err(SoapError::NotAReply));
    assert_eq!(
        read(&add, "<html><body>500</body></html>"),
        Err(SoapError::NotAReply)
    );
    assert_eq!(read(&add, ""), Err(SoapError::Xml(XmlError::Truncated)));
    assert_eq!(
        read(&add, "<!DOCTYPE x><x/>"),
        Err(SoapError::Xml(XmlError::DocumentType))
    );
}

/// What is asked for next, as external port and lease, and whether as any port.
fn asked(offer: &Offer) -> (u16, u32, bool) {
    match offer.call() {
        Call::Add(mapping) => (mapping.external, mapping.lease, false),
        Call::AddAny(mapping) => (mapping.external, mapping.lease, true),
        other @ (Call::Delete(..) | Call::Entry(..) | Call::ExternalAddress) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn each_refusal_has_its_answer() {
    let mut rng = SmallRng::seed_from_u64(7);
    let fresh = || Offer::new(Service::Ip1, WISH, CLIENT);
    assert_eq!(asked(&fresh()), (6881, 3600, false));
    for code in [402, 725] {
        let mut offer = fresh();
        assert!(offer.refused(code, &mut rng), "{code}");
        assert_eq!(asked(&offer), (6881, 0, false));
        assert!(!offer.refused(code, &mut rng), "{code} again");
    }
    for code in [501, 718, 729] {
        let mut offer = fresh();
        assert!(offer.refused(code, &mut rng), "{code}");
        let (port, lease, _) = asked(&offer);
        assert!(port >= 49_152 && lease == 3600);
        // The port must be ours, and ours is taken.
        assert!(!offer.refused(724, &mut rng));
    }
    let mut offer = fresh();
    assert!(offer.refused(727, &mut rng));
    assert_eq!(asked(&offer), (0, 3600, false));
    assert_eq!(offer.known_by(&Told::default()), 0);
    assert_eq!(offer.granted(&Told::default()).external, 6881);
    assert!(!offer.refused(716, &mut rng));
    for code in [606, 715, 716, 724, 726, 728, 9999] {
        assert!(!fresh().refused(code, &mut rng), "{code}");
    }
    let mut any = Offer::new(Service::Ip2, WISH, CLIENT);
    assert_eq!(asked(&any), (6881, 3600, true));
    let told = Told {
        external: Some(7),
        ..Told::default()
    };
    assert_eq!(any.granted(&told).external, 7);
    assert!(any.refused(401, &mut rng));
    assert_eq!(asked(&any), (6881, 3600, false));
    assert_eq!(any.granted(&told).external, 6881);
    assert_eq!(asked(&Offer::again(WISH, CLIENT)), (6881, 3600, false));
}

proptest! {
    #[test]
    fn asking_for_a_port_comes_to_an_end(
        codes in vec(prop_oneof![Just(718), Just(725), Just(402), Just(501), Just(727), any::<u16>()], 30),
        any: bool, seed: u64,
    ) {
        let service = if any { Service::Ip2 } else { Service::Ip1 };
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut offer = Offer::new(service, WISH, CLIENT);
        let mut last = 0;
        for (requests, code) in (1..).zip(codes) {
            last = requests;
            let (Call::Add(mapping) | Call::AddAny(mapping)) = offer.call() else {
                panic!("another request");
            };
            prop_assert_eq!((mapping.internal, mapping.client), (WISH.internal, CLIENT));
            prop_assert_eq!(mapping.transport, WISH.transport);
            let given = offer.granted(&Told::default());
            prop_assert!(given.external != 0 && given.internal == WISH.internal);
            if !offer.refused(code, &mut rng) {
                break;
            }
        }
        prop_assert!(last <= MOST_TRIES);
    }

    #[test]
    fn whatever_comes_is_read_or_not(bytes in vec(any::<u8>(), 0..200)) {
        let _ = ssdp::read(&bytes);
        let _ = description::read(&bytes, &url("http://192.168.1.1/"));
        let _ = Call::ExternalAddress.read(&bytes);
    }

    #[test]
    fn whatever_xml_comes_is_read_or_not(parts in vec(prop::sample::select(vec![
        "<service>", "</service>", "<serviceType>", "</serviceType>", "<controlURL>", "</controlURL>", "<URLBase>",
        "</URLBase>", "urn:schemas-upnp-org:service:WANIPConnection:1", "http://10.0.0.1/x", "/ctl", "&amp;", "&", "&#x41;",
        "&#xffffffff;", "<![CDATA[", "]]>", "<!--", "-->", "<?xml?>", "<a/>", "<s:Fault>", "</s:Fault>", "<errorCode>",
        "</errorCode>", "718", "<AddPortMappingResponse>", "</AddPortMappingResponse>", "<", ">", "\u{feff}", " ", "é",
    ]), 0..60)) {
        let text = format!("<r>{}</r>", parts.concat());
        let at = url("http://192.168.1.1/");
        if let Ok(controls) = description::read(text.as_bytes(), &at) {
            prop_assert!(controls.len() <= description::MOST_SERVICES);
        }
        let _ = Call::Add(mapping(0)).read(text.as_bytes());
    }

    #[test]
    fn what_a_service_tells_is_read_as_it_was_written(
        internal: u16, lease: u32, client: std::net::Ipv4Addr, external in 1_u16..,
    ) {
        let text = answer("GetSpecificPortMappingEntry", &format!(
            "<NewInternalPort>{internal}</NewInternalPort><NewInternalClient>{client}</NewInternalClient>\
             <NewLeaseDuration>{lease}</NewLeaseDuration><NewReservedPort>{external}</NewReservedPort>"
        ));
        let told = Told {
            external_ip: None,
            external: Some(external),
            client: Some(IpAddr::V4(client)).filter(|ip| !ip.is_unspecified()),
            internal: Some(internal),
            lease: Some(lease),
        };
        let entry = Call::Entry(Transport::Tcp, 1);
        prop_assert_eq!(entry.read(text.as_bytes()), Ok(Reply::Done(told)));
    }
}
