"""Two words that client and supporter say to each other, in each language: 16 bits that nobody has to spell.

The client's page shows them and so does the agent's; a stranger on the phone knows neither. Within a list no word is
another's beginning or one letter away from it. In German both are nouns, which need no inflection.
"""

from __future__ import annotations

ENGLISH = (
    """
active airy amber ample ancient arctic artful autumn azure balmy basic beaming big blooming blue bold bouncy brave
breezy brief bright brisk bronze brown bubbly buttery calm candid canvas caramel cheerful chestnut chilly chocolate
chrome cinnamon civil classic clean clever cloudy coastal cobalt comfy copper coral cosmic cosy cotton creamy
crimson crisp crystal curious curly daily dainty dancing dapper daring dazzling decent denim distant dotted double
eager eastern elastic electric elegant emerald enormous exotic fabled faithful famous fancy fast fearless feather
festive fine flannel floral fluffy foggy folded free fresh friendly frosty fruity funny fuzzy garnet gentle giant
gifted ginger glad glass global glossy glowing golden good graceful grand granite green handy happy harvest hazel
healthy hearty heroic hidden honest humble icy ideal indigo ivory jade jolly joyful juicy knitted large lavender
lemon lilac linen little lively local lofty long lucky lunar magenta magic maple marble mellow merry mighty mild
minty modern modest morning mossy musical mustard natural neat new nimble noble northern olive open orange outdoor
painted pastel patient peaceful pearl perfect pink playful pleasant plum polar polite popular precious pretty prime
prompt proud purple quick quiet rainy rapid ready real ripe robust round royal ruby rugged salty satin scarlet
serene sharp shiny silent silky silver simple single slender small smart smooth snowy soft solid southern spicy
square starry steady steep still stormy striped strong sturdy sugary summer super sweet swift tall tidy topaz
tranquil true tulip twin useful velvet violet vivid warm western white whole wide willing windy winter witty
wonderful wooden woolly zesty
    """,
    """
acorn airport anchor apple apron arrow atlas avenue balloon bamboo banana banjo barn basket beach beaver bell
bicycle biscuit blanket blossom boat book bottle bowl box bread brick bridge broom brush bucket buffalo bus butter
button cabin cactus cake camel camera candle canoe canyon carpet carrot castle cello chair chapel cherry chess
chimney circle city clock cloud clover coffee comet compass cookie corner cottage cradle crane crayon cricket crown
cup curtain cushion daisy deer desk diamond dinner dolphin domino donkey door dragon drawer drum eagle easel
elephant engine falcon fence field fish flag flute forest fork fountain frog garage garden garlic gate giraffe glove
goose guitar hammer harbour harp hat hedge helmet heron hill hotel house iceberg island jacket jewel jigsaw juice
jungle kangaroo kettle key kitchen kite kitten koala ladder lagoon lantern laptop library lighthouse lion lizard
magnet mango map market meadow melon mirror moon muffin museum mushroom napkin necklace needle nest notebook ocean
octopus onion orchard otter oven oyster paddle palace panda paper parcel parsley pebble pelican pencil penguin
pepper piano picnic pigeon pillow pine pizza planet plate pocket pond potato prairie pumpkin puppet puzzle pyramid
quilt rabbit radio radish railway raven ribbon river robin robot roof rope ruler salad sandal saucer saxophone scarf
school scooter seal sheep shell ship shirt shoe shovel snail spoon squirrel star station stone stork street suitcase
sunset swan teapot temple tennis ticket tiger toast tomato tower tractor train tree trumpet tunnel turtle umbrella
valley vase village violin volcano wagon walnut whale wheel whistle window wombat yacht zebra zipper
    """,
)
GERMAN = (
    """
Abend Adler Ahorn Allee Amsel Ananas Apfel Aprikose August Bach Bambus Banane Basilikum Bernstein Biber Biene Birke
Blüte Bohne Brise Brokkoli Brot Brunnen Buche Butter Dachs Dahlie Dattel Delfin Diamant Distel Dorf Düne Echo
Edelweiß Efeu Eiche Elefant Elster Ente Enzian Erbse Erdbeere Eule Falke Farn Fasan Feige Feld Felsen Fenchel Fichte
Fisch Flieder Flocke Fluss Forelle Frosch Frühling Fuchs Garten Gazelle Gebirge Gerste Ginster Gipfel Giraffe
Gletscher Gold Granit Gras Grille Hafen Hagebutte Hamster Hase Hecke Heide Herbst Hibiskus Himbeere Himmel Hirsch
Hirse Holunder Honig Hopfen Hügel Igel Ingwer Insel Jaguar Jasmin Joghurt Juli Kakadu Kakao Kaktus Kamille Karotte
Karpfen Kastanie Kiefer Kiesel Kirsche Klee Koala Komet Koralle Krabbe Kranich Kresse Krokus Kuchen Kuckuck Kümmel
Kupfer Kürbis Küste Lama Laub Lavendel Lerche Libelle Lilie Linde Lorbeer Löwe Magnolie Maiglocke Majoran Malve
Mandel Mango Margerite Marmor Maulwurf Meer Melisse Melone Messing Milch Mimose Minze Mirabelle Mohn Möhre Mond Moos
Morgen Muschel Muskat Narzisse Nashorn Nebel Nektar Nelke Nordsee Nuss Oktober Olive Orange Orchidee Oregano Otter
Ozean Palme Panther Papagei Papaya Pappel Paprika Pelikan Perle Petersilie Pfau Pfeffer Pfirsich Pflaume Pilz
Pinguin Pinie Planet Primel Pudding Puma Quarz Quelle Quitte Rabe Radieschen Regen Reiher Reis Rettich Rhabarber
Robbe Roggen Rose Rosine Rosmarin Safran Salat Salbei Salz Sand Saphir Sardine Schilf Schnee Schwalbe Schwan See
Sellerie Sesam Silber Sommer Sonne Spatz Specht Spinat Steppe Stern Storch Strand Tanne Thymian Tiger Tomate Topas
Traube Trüffel Tukan Tulpe Uhu Ulme Vanille Veilchen Vulkan Wachtel Wald Walnuss Weizen Welle Wiese Wind Winter Wolf
Wolke Zebra Zeder Zimt Zitrone Zucker Zwiebel Zypresse
    """,
    """
Abakus Album Amboss Ampel Anker Antenne Armband Atlas Auto Bagger Bahnhof Balkon Ball Becher Besen Bibliothek
Bleistift Blume Boje Boot Brett Brief Brille Brücke Buch Bühne Burg Bürste Bus Cello Chor Computer Dach Dampfer
Deckel Domino Drachen Dusche Eisenbahn Etage Fabrik Fahne Fähre Fahrrad Farbe Fass Feder Fenster Fernrohr Flagge
Flasche Flöte Flugzeug Foto Frachter Gabel Galerie Garage Gardine Geige Gemälde Gitarre Gitter Glas Globus Glocke
Gondel Gürtel Hahn Halle Hammer Handschuh Handtuch Harfe Harmonika Haus Heft Helm Hemd Hobel Hocker Hut Hütte Jacke
Kajak Kalender Kamera Kamin Kamm Kanne Kanu Kapelle Karaffe Karte Karussell Kegel Keks Keller Kerze Kette Kino
Kirche Kissen Kiste Klammer Klavier Klingel Knopf Koffer Kommode Kompass Konzert Korb Kordel Kran Kreide Kreis
Kristall Krone Krug Küche Kutsche Lampe Laterne Leinwand Leiter Leuchtturm Lexikon Lineal Locher Löffel Lokomotive
Luftballon Lupe Magnet Mantel Mappe Märchen Markt Maschine Mauer Mikrofon Mosaik Motor Mühle Murmel Museum Musik
Mütze Nadel Nest Notizbuch Oboe Ofen Ohrring Oper Orgel Paket Palast Pantoffel Papier Park Pauke Pedal Pfanne Pinsel
Pinzette Plakat Pokal Puzzle Pyramide Rad Rahmen Rakete Rassel Regal Reifen Ring Roboter Roller Rucksack Ruder
Sandale Sattel Saxofon Schach Schal Schaufel Schere Schiff Schlitten Schlüssel Schrank Schraube Schublade Schuh
Schule Schwamm Seife Sessel Skulptur Sofa Spaten Spiegel Spiel Stempel Stiefel Straße Strumpf Stuhl Suppe Tafel
Tasche Tasse Tastatur Telefon Teppich Theater Ticket Tinte Tisch Topf Tor Traktor Treppe Tresor Tribüne Trommel
Trompete Truhe Tunnel Turbine Turm Uhr Vase Veranda Vitrine Vorhang Waage Wagen Wecker Werkstatt Weste Wimpel Würfel
Xylofon Zahnrad Zange Zaun Zeitung Zelt Ziegel Zirkel Zirkus Zither Zug
    """,
)
WORDS = {code: tuple(words.split() for words in both) for code, both in {"en": ENGLISH, "de": GERMAN}.items()}


def words_of(number: int, language: str) -> str:
    """Return the two words of an invitation's `phrase`; English ones for a language that has no list."""
    first, second = WORDS.get(language, WORDS["en"])
    return f"{first[number >> 8 & 255]} {second[number & 255]}"
