//! Words that addresses in Latin letters are made of, in small letters but for codes.

/// What streets are called.
pub(super) const STREETS: &str = "street st avenue ave road rd lane ln drive dr boulevard blvd court ct place pl way terrace parkway pkwy circle cir highway hwy square sq trail alley \
    crescent close gardens grove plaza walk mews row crossing route loop ridge heights hill pike turnpike broadway freeway expressway manor park";

/// Rarer words that streets of the United States end with. Most are other words too.
pub(super) const SUFFIXES: &str = "branch bridge brook brooks burg burgs bypass camp canyon cape causeway center centers circles cliff cliffs club common corner corners course courts \
    cove coves creek crest crossroad curve dale dam divide drives estate estates extension extensions fall falls ferry field fields flat flats ford fords \
    forest forge forges fork forks fort garden gateway glen glens green greens groves harbor harbors haven hills hollow inlet islands isle junction \
    junctions key keys knoll knolls lake lakes land landing light lights loaf lock locks lodge mall manors meadow meadows mill mills mission motorway \
    mount mountain mountains neck orchard oval overpass parks parkways pass passage path pine pines plain plains point points port ports prairie radial \
    ramp ranch rapid rapids rest ridges river roads rue run shoal shoals shore shores skyway spring springs spur spurs squares station stravenue stream \
    streets summit throughway trace track trafficway tunnel underpass union unions valley valleys via viaduct view views village villages ville vista \
    walks wall ways well wells";

/// What is numbered within a building.
pub(super) const UNITS: &str = "apt apartment suite ste unit floor fl room rm building bldg box flat no";

/// States of the United States, of two words the second.
pub(super) const STATES: &str = "alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho illinois indiana iowa kansas kentucky louisiana \
    maine maryland massachusetts michigan minnesota mississippi missouri montana nebraska nevada hampshire jersey mexico york carolina dakota ohio \
    oklahoma oregon pennsylvania island tennessee texas utah vermont virginia washington wisconsin wyoming";

/// The codes of the states and territories of the United States.
pub(super) const CODES: &str = "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI \
    WY PR VI GU AS MP FM MH PW";

/// Countries that an address ends with.
pub(super) const COUNTRIES: &str = "usa us japan uk england canada australia";

/// Prefectures and large cities of Japan.
pub(super) const PREFECTURES: &str = "hokkaido aomori iwate miyagi akita yamagata fukushima ibaraki tochigi gunma saitama chiba tokyo kanagawa niigata toyama ishikawa fukui yamanashi \
    nagano gifu shizuoka aichi mie shiga kyoto osaka hyogo nara wakayama tottori shimane okayama hiroshima yamaguchi tokushima kagawa ehime kochi fukuoka \
    saga nagasaki kumamoto oita miyazaki kagoshima okinawa yokohama nagoya sapporo kobe sendai kawasaki";

/// What parts of an address in Japan end with.
pub(super) const PARTS: &str = "-ku -shi -cho -machi -mura -gun -ken -to -fu -chome -dori -son";
