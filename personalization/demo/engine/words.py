"""What the demo shop is made of: departments, categories, brands, words of titles. All invented."""

from typing import NamedTuple

SHOP_NAME = "Larkhill"
# Begins every id of the demo, so that `demo --remove` finds what is its own and nothing else.
PREFIX = "lark-"


class Leaf(NamedTuple):
    """One category that holds products."""

    key: str
    title: str
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    # Usual price range in whole units of the shop's currency.
    low: int
    high: int
    # Day of the year on which it sells best, and how strongly (0: all year the same).
    peak_day: int
    season: float
    # The category that is often bought along.
    complement: str


class Department(NamedTuple):
    """One branch of the tree; `hue` colours the tiles of its products."""

    key: str
    title: str
    hue: int
    brands: tuple[str, ...]
    leaves: tuple[Leaf, ...]


# What the taste of a shopper and the look of a product share; its adjectives begin the title.
STYLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("calm", ("Quiet", "Soft", "Pale", "Still", "Airy", "Gentle")),
    ("bold", ("Bright", "Vivid", "Loud", "Striking", "Electric", "Daring")),
    ("classic", ("Classic", "Heritage", "Timeless", "Old Town", "Tailored", "Fine")),
    ("rugged", ("Rugged", "Sturdy", "Trail", "Workshop", "Stormy", "Granite")),
    ("playful", ("Playful", "Merry", "Dotted", "Sunny", "Doodle", "Hop")),
    ("precise", ("Precise", "Slim", "Sharp", "Linear", "Modular", "Exact")),
)

COLOURS: tuple[tuple[str, str], ...] = (
    ("moss", "#5b7f4b"),
    ("slate", "#5d6b78"),
    ("clay", "#b5673f"),
    ("sand", "#cdb892"),
    ("ink", "#2f3a56"),
    ("rose", "#c77d8a"),
    ("ochre", "#c99a2e"),
    ("mist", "#a9bcc4"),
)

# = department | title | hue | brands
# category | title | prices | best day of the year | how seasonal | bought along with
#   nouns
#   materials
_TABLE = """
= home | Home | 28 | Ostelune, Velmarre, Hallowind, Tavno, Brindlecot, Luminest, Sorvika
bedding | Bedding | 25-140 | 330 | 0.3 | cushions
  Duvet Cover, Pillowcase, Bed Throw, Fitted Sheet
  Linen, Cotton, Percale, Flannel, Bamboo
cushions | Cushions | 12-60 | 300 | 0.2 | bedding
  Cushion, Bolster, Floor Cushion, Seat Pad
  Velvet, Linen, Wool, Corduroy, Cotton
lamps | Lamps | 30-220 | 340 | 0.4 | candles
  Table Lamp, Floor Lamp, Pendant, Desk Lamp, Night Light
  Brass, Oak, Paper, Steel, Glass
rugs | Rugs | 20-320 | 290 | 0.2 | cushions
  Rug, Runner, Door Mat, Bath Mat
  Jute, Wool, Cotton, Hemp, Sisal
candles | Candles | 6-45 | 345 | 0.9 | lamps
  Candle, Candle Holder, Tealight Set, Lantern
  Beeswax, Soy, Brass, Glass, Stoneware
storage | Storage | 10-150 | 10 | 0.3 | rugs
  Basket, Storage Box, Shelf, Coat Rack, Drawer Set
  Rattan, Oak, Felt, Steel, Bamboo
wall-decor | Wall decor | 12-160 | 320 | 0.2 | lamps
  Print, Mirror, Wall Clock, Frame
  Oak, Walnut, Paper, Brass, Cork
curtains | Curtains | 15-120 | 280 | 0.2 | rugs
  Curtain, Blind, Sheer, Tieback
  Linen, Cotton, Voile, Velvet, Bamboo
= kitchen | Kitchen | 8 | Pannenwald, Crofterly, Emberin, Saltmere, Quillpot, Noordeck, Tessaro
cookware | Cookware | 25-240 | 335 | 0.4 | knives
  Saucepan, Frying Pan, Casserole, Stock Pot, Wok
  Cast Iron, Steel, Copper, Enamel, Ceramic
knives | Knives | 15-180 | 340 | 0.3 | cookware
  Chef's Knife, Paring Knife, Bread Knife, Cutting Board, Sharpener
  Steel, Walnut, Ash, Ceramic, Beech
mugs | Mugs | 7-38 | 340 | 0.4 | coffee
  Mug, Espresso Cup, Travel Mug, Cup and Saucer
  Stoneware, Porcelain, Enamel, Glass, Steel
coffee | Coffee and tea | 18-190 | 335 | 0.4 | mugs
  Pour-Over Set, Coffee Grinder, Teapot, French Press, Kettle
  Glass, Steel, Cast Iron, Copper, Ceramic
baking | Baking | 6-60 | 345 | 0.8 | tableware
  Cake Tin, Rolling Pin, Cookie Cutters, Mixing Bowl, Loaf Tin
  Steel, Beech, Silicone, Stoneware, Enamel
glassware | Glassware | 12-110 | 350 | 0.5 | tableware
  Tumblers, Wine Glasses, Carafe, Decanter
  Crystal, Recycled Glass, Smoked Glass, Ribbed Glass, Blown Glass
food-storage | Food storage | 7-65 | 240 | 0.3 | baking
  Jar, Lunch Box, Bread Bin, Canister
  Glass, Steel, Bamboo, Enamel, Cork
tableware | Tableware | 14-170 | 345 | 0.5 | glassware
  Plate Set, Bowl, Serving Dish, Cutlery Set, Tablecloth
  Porcelain, Stoneware, Linen, Steel, Olive Wood
= garden | Garden | 105 | Fernholt, Rootswell, Gartenby, Wrenfield, Mulberrick, Tildegrove, Ashdrift
planters | Planters | 9-130 | 125 | 0.8 | seeds
  Planter, Hanging Pot, Window Box, Plant Stand
  Terracotta, Zinc, Cedar, Concrete, Rattan
garden-tools | Garden tools | 9-95 | 115 | 0.8 | watering
  Trowel, Pruner, Spade, Hand Fork, Rake
  Steel, Ash, Carbon, Bamboo, Copper
seeds | Seeds and bulbs | 3-25 | 95 | 0.9 | planters
  Wildflower Mix, Herb Kit, Tulip Bulbs, Salad Mix, Tomato Seeds
  Meadow, Heirloom, Organic, Cottage, Alpine
outdoor-furniture | Outdoor furniture | 45-480 | 145 | 0.9 | barbecue
  Bench, Folding Chair, Bistro Table, Lounger, Parasol
  Teak, Acacia, Steel, Rope, Aluminium
barbecue | Barbecue | 10-390 | 165 | 0.9 | outdoor-furniture
  Fire Bowl, Grill, Grill Tongs, Smoker, Skewer Set
  Cast Iron, Steel, Corten, Ceramic, Beech
bird-care | Birds and insects | 9-70 | 20 | 0.6 | seeds
  Bird Feeder, Nest Box, Insect House, Bird Bath
  Cedar, Larch, Copper, Stoneware, Oak
watering | Watering | 8-80 | 170 | 0.8 | garden-tools
  Watering Can, Hose, Mister, Rain Gauge
  Zinc, Brass, Copper, Steel, Glass
= clothing | Clothing | 218 | Arnholme, Lysander, Kjellvane, Morwenna, Threadgale, Dunmarrow, Ivelle
jackets | Jackets | 55-320 | 310 | 0.8 | scarves
  Jacket, Parka, Overshirt, Raincoat, Gilet
  Waxed Cotton, Wool, Down, Denim, Recycled
knitwear | Knitwear | 39-180 | 330 | 0.9 | shirts
  Sweater, Cardigan, Roll Neck, Knit Vest
  Merino, Lambswool, Cotton, Alpaca, Mohair
shirts | Shirts | 19-95 | 150 | 0.3 | trousers
  Shirt, T-Shirt, Blouse, Polo
  Oxford, Linen, Cotton, Flannel, Poplin
trousers | Trousers | 35-140 | 120 | 0.3 | shirts
  Chinos, Jeans, Wide Trousers, Shorts
  Denim, Twill, Linen, Corduroy, Wool
socks | Socks | 7-45 | 345 | 0.7 | knitwear
  Socks, Boot Socks, Ankle Socks, Slippers
  Merino, Cotton, Cashmere, Bamboo, Felt
scarves | Scarves and gloves | 15-110 | 335 | 0.9 | hats
  Scarf, Gloves, Mittens, Shawl
  Wool, Cashmere, Lambswool, Leather, Silk
hats | Hats | 12-65 | 320 | 0.4 | scarves
  Beanie, Cap, Sun Hat, Bucket Hat
  Merino, Cotton, Straw, Corduroy, Felt
= outdoor | Outdoor | 160 | Skarnfell, Corrieback, Tarnstead, Nordhike, Palecrag, Upland, Driftmoor
tents | Tents | 60-620 | 175 | 0.9 | sleeping-bags
  Two-Person Tent, Tarp, Family Tent, Bivvy
  Ripstop, Canvas, Silnylon, Polycotton, Ultralight
sleeping-bags | Sleeping bags | 20-340 | 175 | 0.8 | tents
  Sleeping Bag, Camp Mat, Quilt, Camp Pillow
  Down, Synthetic, Fleece, Silk, Wool
backpacks | Backpacks | 35-260 | 200 | 0.4 | bottles
  Backpack, Day Pack, Hip Pack, Roll-Top
  Canvas, Ripstop, Recycled, Leather, Dyneema
boots | Boots | 60-260 | 285 | 0.4 | socks
  Hiking Boots, Trail Shoes, Approach Shoes, Wellingtons
  Leather, Suede, Waterproof, Mesh, Rubber
cycling | Cycling | 14-190 | 140 | 0.6 | bottles
  Helmet, Pannier, Bike Light, Multi-Tool, Pump
  Alloy, Carbon, Canvas, Steel, Reflective
climbing | Climbing | 12-210 | 160 | 0.4 | headlamps
  Harness, Chalk Bag, Rope, Carabiner Set
  Alloy, Dynamic, Steel, Canvas, Ultralight
headlamps | Lights and navigation | 12-120 | 320 | 0.4 | tents
  Headlamp, Camp Lantern, Compass, Map Case
  Alloy, Rechargeable, Brass, Waterproof, Compact
bottles | Bottles | 10-60 | 190 | 0.3 | backpacks
  Bottle, Flask, Hydration Pack, Camp Mug
  Steel, Titanium, Glass, Enamel, Recycled
= electronics | Electronics | 262 | Veltrix, Ohmaru, Pixren, Kilofor, Sonnovar, Arcstead, Bitlumen
headphones | Headphones | 25-380 | 335 | 0.6 | chargers
  Headphones, Earbuds, Headset, Headphone Stand
  Wireless, Wired, Studio, Noise-Cancelling, Open-Back
speakers | Speakers | 35-520 | 340 | 0.6 | cables
  Speaker, Soundbar, Radio, Turntable
  Bluetooth, Oak, Portable, Walnut, Fabric
keyboards | Keyboards and mice | 20-210 | 250 | 0.3 | cables
  Keyboard, Mouse, Number Pad, Wrist Rest
  Mechanical, Wireless, Aluminium, Walnut, Compact
chargers | Chargers | 12-95 | 335 | 0.3 | cables
  Power Bank, Wall Charger, Charging Pad, Travel Adapter
  Compact, Fast, Fabric, Aluminium, Magnetic
smart-lights | Smart home | 9-110 | 340 | 0.5 | chargers
  Smart Bulb, Light Strip, Motion Sensor, Smart Plug
  Warm White, Colour, Zigbee, Outdoor, Dimmable
cameras | Cameras | 20-590 | 180 | 0.4 | chargers
  Instant Camera, Action Camera, Tripod, Camera Strap
  Leather, Compact, Waterproof, Carbon, Retro
wearables | Wearables | 18-420 | 5 | 0.6 | chargers
  Fitness Band, Smart Watch, Watch Strap, Sleep Ring
  Steel, Silicone, Titanium, Leather, Ceramic
cables | Cables | 6-40 | 335 | 0.2 | chargers
  USB-C Cable, Audio Cable, HDMI Cable, Cable Organiser
  Braided, Fabric, Silicone, Short, Long
= care | Care | 320 | Maristelle, Botane, Clovenna, Pure Fennel, Saponelle, Halewort, Amberley
skincare | Skin care | 8-75 | 185 | 0.3 | soap
  Face Cream, Serum, Cleanser, Hand Balm, Sun Cream
  Oat, Rosehip, Calendula, Aloe, Sea Buckthorn
haircare | Hair care | 7-48 | 200 | 0.2 | soap
  Shampoo, Conditioner, Hair Oil, Brush
  Rosemary, Argan, Nettle, Birch, Coconut
soap | Soap | 4-28 | 340 | 0.3 | bath
  Soap Bar, Hand Wash, Soap Dish, Body Wash
  Lavender, Olive, Pine, Lemon, Charcoal
fragrance | Fragrance | 14-130 | 345 | 0.7 | bath
  Eau de Parfum, Room Spray, Diffuser, Incense
  Cedar, Fig, Neroli, Vetiver, Amber
shaving | Shaving | 8-90 | 345 | 0.5 | skincare
  Safety Razor, Shaving Brush, Shaving Cream, Beard Oil
  Brass, Steel, Sandalwood, Cedar, Walnut
bath | Bath | 8-110 | 350 | 0.5 | soap
  Towel, Bath Salts, Bathrobe, Bath Brush
  Cotton, Linen, Eucalyptus, Waffle, Bamboo
wellness | Wellness | 9-95 | 8 | 0.8 | bath
  Yoga Mat, Massage Ball, Heat Cushion, Eye Mask
  Cork, Cherry Stone, Silk, Rubber, Linen
= play | Play | 48 | Tumbleby, Pipkindle, Fox & Ferry, Honeyloft, Marblewick, Oakapple, Zuzzle
building-blocks | Building | 14-160 | 348 | 0.9 | puzzles
  Block Set, Marble Run, Train Set, Magnet Tiles
  Beech, Maple, Magnetic, Cork, Recycled
puzzles | Puzzles | 8-55 | 345 | 0.8 | board-games
  Puzzle, Brain Teaser, Floor Puzzle, 3D Puzzle
  Wooden, Cardboard, Magnetic, Cork, 500-Piece
board-games | Board games | 9-95 | 350 | 0.9 | puzzles
  Board Game, Card Game, Dice Game, Chess Set
  Family, Travel, Wooden, Cooperative, Strategy
plush | Soft toys | 10-60 | 345 | 0.7 | picture-books
  Plush Bear, Plush Fox, Hand Puppet, Comforter
  Organic Cotton, Wool, Velour, Linen, Corduroy
art-supplies | Art supplies | 5-65 | 235 | 0.5 | picture-books
  Colour Pencils, Paint Set, Sketchbook, Modelling Clay
  Watercolour, Beeswax, Washable, Recycled, Cedar
outdoor-play | Outdoor play | 8-180 | 165 | 0.9 | art-supplies
  Kite, Scooter, Swing, Sand Set, Skipping Rope
  Ash, Canvas, Steel, Bamboo, Nylon
picture-books | Picture books | 6-28 | 348 | 0.6 | plush
  Picture Book, Board Book, Activity Book, Sticker Book
  Bedtime, Counting, Animal, Seaside, Forest
"""

# Where shoppers live: country, locale, time zone, share.
PLACES: tuple[tuple[str, str, str, float], ...] = (
    ("DE", "de-DE", "Europe/Berlin", 0.34),
    ("FR", "fr-FR", "Europe/Paris", 0.16),
    ("NL", "nl-NL", "Europe/Amsterdam", 0.12),
    ("GB", "en-GB", "Europe/London", 0.14),
    ("AT", "de-AT", "Europe/Vienna", 0.08),
    ("SE", "sv-SE", "Europe/Stockholm", 0.07),
    ("IT", "it-IT", "Europe/Rome", 0.06),
    ("PL", "pl-PL", "Europe/Warsaw", 0.03),
)


def _departments(table: str) -> tuple[Department, ...]:
    """Read the table: a line `=` opens a department, then three lines a category."""
    found: list[tuple[list[str], list[Leaf]]] = []
    lines = iter(table.strip().splitlines())
    for line in lines:
        cells = [cell.strip() for cell in line.lstrip("= ").split("|")]
        if line.startswith("="):
            found.append((cells, []))
            continue
        nouns, materials = _list(next(lines)), _list(next(lines))
        key, title, prices, peak_day, season, complement = cells
        low, high = (int(price) for price in prices.split("-"))
        found[-1][1].append(
            Leaf(key, title, nouns, materials, low, high, int(peak_day), float(season), complement)
        )
    return tuple(
        Department(key, title, int(hue), _list(brands), tuple(leaves))
        for (key, title, hue, brands), leaves in found
    )


def _list(cell: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in cell.split(","))


DEPARTMENTS = _departments(_TABLE)

FIRST_NAMES = _list(
    "Ada, Bruno, Clara, Deniz, Elif, Farid, Greta, Hugo, Ines, Jonas, Kofi, Lena, Mateo, Noor,"
    "Olga, Pavel, Quinn, Rosa, Samir, Tilda, Uma, Viktor, Wanda, Yusuf, Zoe"
)
LAST_NAMES = _list(
    "Abendroth, Bellweather, Castellane, Dorrington, Ekstrand, Fairbourne, Grunewald, Hollenbeck,"
    "Ivarsson, Jankowiak, Kettering, Lindqvist, Marchetti, Nordgren, Oosterhuis, Pemberley,"
    "Quistgaard, Rosendahl, Santoro, Thornbury, Underwood, Verhoeven, Wetherby, Zielinska"
)
